"""``darkchannel models``: the weights speech needs."""

from __future__ import annotations

import click

from darkchannel.cli.console import Console
from darkchannel.config import Settings


@click.group()
def models() -> None:
    """Fetch and list the weights speech needs."""


@models.command()
@click.argument("engine", default="kokoro")
@click.option("--offline", is_flag=True, help="Fetch nothing; say what is missing.")
@click.pass_obj
def fetch(console: Console, engine: str, offline: bool) -> None:
    """Fetch the weights of ENGINE (kokoro); goes on where it was interrupted."""
    from dataclasses import replace

    from darkchannel.composition import engine_spec, fetch_weights

    settings = Settings.from_environment()
    settings = replace(settings, offline=settings.offline or offline)
    engine_spec(engine, settings)
    with console.download() as show:
        fetch_weights(settings, engine, show)
    click.echo(f"{engine}: all weights are here")


@models.command("list")
def list_models() -> None:
    """List the weights on this machine, and what is missing."""
    from darkchannel.composition import list_weights

    for line in list_weights(Settings.from_environment()):
        click.echo(line)
