"""Commands that look and change nothing: ``plan``, ``voices``, ``doctor``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from darkchannel.cli.console import Console, print_json
from darkchannel.cli.render import reading_options
from darkchannel.config import Settings

SAMPLE_TEXT = {
    "pt-BR": "Boa noite. Esta é a minha voz, e hoje vou ler para você.",
    "en": "Good evening. This is my voice, and tonight I will read to you.",
}


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(allow_dash=True, path_type=Path))
@reading_options
@click.option("--json", "as_json", is_flag=True, help="The whole plan as one JSON object.")
def plan(source: Path, as_json: bool, **reading: Any) -> None:
    """Show what would be said of INPUT, in how many chunks, how long, what is doubtful.

    Renders nothing and needs no store.
    """
    from darkchannel.composition import bounded, engine_spec, input_format, read_input
    from darkchannel.production.planning import plan_text
    from darkchannel.production.request import RenderOptions

    options = RenderOptions(**reading)
    from_stdin = str(source) == "-"
    data = bounded(sys.stdin.buffer.read(), "the input") if from_stdin else read_input(source)
    engine = engine_spec(options.engine, Settings.from_environment())()
    ssml = True if not from_stdin and input_format(source) == "ssml" else None
    made = plan_text(data, options, engine, ssml=ssml)
    if as_json:
        print_json(made.to_dict())
        return
    chapters = {mark.first_chunk: mark.title for mark in made.chapters}
    for chunk in made.chunks:
        if chunk.index in chapters:
            click.secho(chapters[chunk.index], bold=True)
        click.echo(f"{chunk.index:5} {chunk.voice}  {chunk.text}")
    minutes, seconds = divmod(round(made.estimated_seconds), 60)
    click.echo(
        f"{len(made.chunks)} chunks, {len(made.chapters)} chapters,"
        f" about {minutes} min {seconds:02d} s"
    )
    for warning in made.warnings:
        click.echo(f"warning: line {warning.line}: {warning.message}", err=True)


@click.command()
@click.option("--engine", default="kokoro", show_default=True)
@click.option("--language", help="Only voices of this language.")
@click.option("--sample", is_flag=True, help="Render each voice's sample to voice-samples/.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@click.pass_obj
def voices(
    console: Console, engine: str, language: str | None, sample: bool, as_json: bool
) -> None:
    """List the voices there are, and let them be heard."""
    from darkchannel.composition import engine_spec

    settings = Settings.from_environment()
    speaker = engine_spec(engine, settings)()
    chosen = [
        voice
        for voice in speaker.voices
        if language is None or voice.language.lower().startswith(language.lower())
    ]
    if as_json:
        print_json([voice._asdict() for voice in chosen])
        return
    for voice in chosen:
        default = speaker.resolve_voice(None, voice.language) == voice.name
        click.echo(f"{voice.name:<14}{voice.language}{'  (default)' if default else ''}")
    if sample:
        _render_samples(console, settings, engine, [voice.name for voice in chosen])


def _render_samples(console: Console, settings: Settings, engine: str, names: list[str]) -> None:
    from darkchannel.composition import fetch_weights
    from darkchannel.production.samples import render_samples

    with console.download() as show:
        fetch_weights(settings, engine, show)
    from darkchannel.composition import engine_spec

    speaker = engine_spec(engine, settings)()
    for path in render_samples(speaker, names, SAMPLE_TEXT, Path("voice-samples")):
        click.echo(f"  {path}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@click.option("--measure", is_flag=True, help="Also speak for 10 seconds, to say how fast it is.")
def doctor(as_json: bool, measure: bool) -> None:
    """Say whether this machine has what it takes, and what to do where it does not."""
    from darkchannel.production import doctor as examination

    settings = Settings.from_environment()
    checks = list(examination.diagnose(settings))
    if measure:
        checks += examination.measure(settings)
    if as_json:
        print_json([check._asdict() for check in checks])
    else:
        for check in checks:
            mark = click.style("ok  ", fg="green") if check.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark} {check.name}: {check.detail}")
            if not check.ok and check.remedy:
                click.echo(f"     {check.remedy}")
    if not all(check.ok for check in checks):
        raise click.exceptions.Exit(1)
