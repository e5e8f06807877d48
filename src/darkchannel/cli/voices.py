"""``darkchannel voices``: the voices there are, and those made of recordings."""

from __future__ import annotations

from pathlib import Path

import click

from darkchannel.cli.console import Console, print_json
from darkchannel.config import Settings

SAMPLE_TEXT = {
    "pt-BR": "Boa noite. Esta é a minha voz, e hoje vou ler para você.",
    "en": "Good evening. This is my voice, and tonight I will read to you.",
}


@click.group(invoke_without_command=True)
@click.option("--engine", default="kokoro", show_default=True)
@click.option("--language", help="Only voices of this language.")
@click.option("--sample", is_flag=True, help="Render each voice's sample to voice-samples/.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@click.pass_context
def voices(
    context: click.Context, engine: str, language: str | None, sample: bool, as_json: bool
) -> None:
    """List the voices there are, let them be heard, and clone others of recordings."""
    if context.invoked_subcommand is not None:
        return
    from darkchannel.composition import open_engine
    from darkchannel.engines import fetch_weights
    from darkchannel.production.samples import render_samples

    settings = Settings.from_environment()
    with open_engine(engine, settings) as speaks:
        chosen = [
            voice
            for voice in speaks.voices
            if language is None or voice.language.lower().startswith(language.lower())
        ]
        if as_json:
            print_json([voice._asdict() for voice in chosen])
            return
        width = max([12, *(len(voice.name) for voice in chosen)]) + 2
        for voice in chosen:
            default = speaks.resolve_voice(None, voice.language) == voice.name
            click.echo(f"{voice.name:<{width}}{voice.language}{'  (default)' if default else ''}")
        if sample:
            with context.obj.download() as show:
                fetch_weights(settings, engine, show)
            names = [voice.name for voice in chosen]
            for path in render_samples(speaks, names, SAMPLE_TEXT, Path("voice-samples")):
                click.echo(f"  {path}")


@voices.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--language", default="pt-BR", show_default=True, help="The language it is the default for."
)
@click.option("--base", help="The Kokoro voice it is made of; the language's default without it.")
@click.option("--replace", is_flag=True, help="Replace a voice of that name.")
def add(name: str, file: Path, language: str, base: str | None, replace: bool) -> None:
    """Make the voice in FILE (WAV, MP3 or FLAC, 5 to 60 seconds) a voice called NAME.

    Only with the consent of the person who speaks in it: docs/voices.md says more.

    \b
    Then: darkchannel render chapter.txt --engine openvoice --voice NAME
    """
    from darkchannel.composition import open_references
    from darkchannel.production.references import read_file

    data = read_file(file)
    with open_references(Settings.from_environment()) as references:
        voice = references.add(
            name, data, filename=file.name, language=language, base=base, replace=replace
        )
    click.echo(f"{voice.full_name}  {voice.language}")


@voices.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@click.pass_obj
def list_cloned(console: Console, as_json: bool) -> None:
    """List the voices made of recordings, and recordings that cannot be used."""
    from darkchannel.composition import open_references

    with open_references(Settings.from_environment()) as references:
        found, problems = references.read()
    for problem in problems:
        console.say(f"warning: {problem}")
    if as_json:
        fields = ("name", "full_name", "language", "base")
        print_json([{name: getattr(voice, name) for name in fields} for voice in found])
        return
    for voice in found:
        made_of = f"  made of {voice.base}" if voice.base else ""
        click.echo(f"{voice.full_name:<24}{voice.language}{made_of}")


@voices.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete the voice NAME and its recording; books made with it stay."""
    from darkchannel.composition import open_references

    with open_references(Settings.from_environment()) as references:
        references.remove(name)
    click.echo(f"{name} removed")
