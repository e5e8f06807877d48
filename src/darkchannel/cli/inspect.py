"""Commands that look and change nothing: ``plan``, ``doctor``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from darkchannel.cli.console import print_json
from darkchannel.cli.render import reading_options
from darkchannel.config import Settings


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(allow_dash=True, path_type=Path))
@reading_options
@click.option("--json", "as_json", is_flag=True, help="The whole plan as one JSON object.")
def plan(source: Path, as_json: bool, **reading: Any) -> None:
    """Show what would be said of INPUT, in how many chunks, how long, what is doubtful.

    Renders nothing, and needs no store unless the voice is a cloned one.
    """
    from darkchannel.composition import bounded, input_format, open_engine, read_input
    from darkchannel.production.planning import plan_text
    from darkchannel.production.request import RenderOptions

    options = RenderOptions(**reading)
    from_stdin = str(source) == "-"
    data = bounded(sys.stdin.buffer.read(), "the input") if from_stdin else read_input(source)
    ssml = True if not from_stdin and input_format(source) == "ssml" else None
    with open_engine(options.engine, Settings.from_environment()) as engine:
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
