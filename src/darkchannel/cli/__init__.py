"""The ``darkchannel`` command: parses, calls production or storage, presents.

Only click is imported here; everything else is imported by the command that runs, so that
``darkchannel --help`` answers at once.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from darkchannel.cli.console import Console, report_error
from darkchannel.cli.inspect import doctor, plan
from darkchannel.cli.jobs import jobs, url
from darkchannel.cli.keys import keys
from darkchannel.cli.models import models
from darkchannel.cli.render import render
from darkchannel.cli.serve import serve
from darkchannel.cli.store import cleanup, store
from darkchannel.cli.voices import voices

EPILOG = """
\b
Exit codes: 0 done, 1 failed, 2 bad input or usage, 3 cancelled,
4 store or engine unreachable.
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(package_name="darkchannel")
@click.option("--debug", is_flag=True, help="Show a traceback with every error.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, only results and errors.")
@click.pass_context
def cli(context: click.Context, debug: bool, quiet: bool) -> None:
    """Make audiobooks of text and SSML, with nothing lost on the way.

    \b
    Start here:
      darkchannel render chapter.txt       a mastered chapter.mp3, with subtitles
      darkchannel plan chapter.txt         what would be said, before anything is rendered
      darkchannel doctor                   whether this machine has what it takes

    Shell completion: eval "$(_DARKCHANNEL_COMPLETE=bash_source darkchannel)"
    (zsh_source and fish_source likewise).
    """
    context.obj = Console(quiet=quiet, debug=debug)


def _set(context: click.Context, option: click.Parameter, given: bool) -> None:
    if given and option.name:
        context.obj = replace(context.obj, **{option.name: True})


def _accept_everywhere(command: click.Command) -> None:
    """Let --quiet and --debug stand after the command's name as well as before it."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _accept_everywhere(inner)
        if not command.invoke_without_command:
            return
    for names, text in ((("-q", "--quiet"), "No progress."), (("--debug",), "Tracebacks.")):
        command.params.append(
            click.Option(names, is_flag=True, expose_value=False, callback=_set, help=text)
        )


for command in (render, plan, jobs, url, voices, models, cleanup, store, serve, keys, doctor):
    _accept_everywhere(command)
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(args=arguments, prog_name="darkchannel", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the one place where every error ends
        code = report_error(error, debug=debug)
    # click hands the code of a command that ended itself back as the command's result
    sys.exit(code if isinstance(code, int) else 0)
