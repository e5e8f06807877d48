"""``darkchannel store`` and ``darkchannel cleanup``: the S3 store behind it all."""

from __future__ import annotations

import re
import shlex
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from darkchannel.cli.console import print_json
from darkchannel.cli.stopping import stop_on_signals
from darkchannel.config import Settings
from darkchannel.errors import UnavailableError

if TYPE_CHECKING:
    from darkchannel.models import Check

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType["timedelta"]):
    """A length of time such as ``90m``, ``24h`` or ``30d``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parse it."""
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if match is None:
            self.fail(f"{value!r}: expected a number and s, m, h or d, such as 24h", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group()
def store() -> None:
    """Serve, set up and check the S3 store."""


@store.command()
def serve() -> None:
    """Keep the store of this machine up, and print the environment another program needs.

    Without it the store runs only while a command needs it.  Ctrl-C lets go of it.
    """
    from darkchannel.composition import open_store
    from darkchannel.errors import SettingError
    from darkchannel.storage.embedded import environment

    settings = Settings.from_environment()
    if settings.store is not None:
        raise SettingError(
            "MINIO_ENDPOINT is set, so that server is used",
            remedy="unset it to serve the store of this machine",
        )
    stop_on_signals()
    with open_store(settings) as config:
        for name, value in environment(config).items():
            click.echo(f"export {name}={shlex.quote(value)}")
        click.echo("serving; Ctrl-C stops", err=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("stopped serving", err=True)


@store.command()
def setup() -> None:
    """Set up what S3 itself allows; safe to run again.

    The four buckets, and that what lies in the temporary one expires.  Needs the key of the
    store's administrator.  What S3 cannot do is named, with what can.
    """
    from darkchannel.composition import reach_store
    from darkchannel.storage import MinIOClient
    from darkchannel.storage.provision import provision

    with reach_store(Settings.from_environment()) as config:
        for step in provision(MinIOClient(config)):
            click.echo(step)


@store.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
def check(as_json: bool) -> None:
    """Prove that the store does what jobs need, and no more: one line for each proof.

    Run it with the key of the service that makes jobs: an administrator's is a failed check.
    What is written is removed again.  Exit code 0: all passed; 1: some failed; 4: the store
    does not answer.
    """
    from darkchannel.composition import is_own_store, open_store, reach_store
    from darkchannel.storage import MinIOClient
    from darkchannel.storage.check import check_store

    stop_on_signals()
    settings = Settings.from_environment()
    # A check makes nothing; the embedded store is not there before it is opened.
    opened = open_store(settings) if settings.store is None else reach_store(settings)
    checks = []
    with opened as config:
        own = is_own_store(settings, config)
        for found in check_store(MinIOClient(config), own_server=own):
            checks.append(found)
            if not as_json:
                _say(found)
    if as_json:
        print_json([found._asdict() for found in checks])
    if not checks[0].ok:
        raise click.exceptions.Exit(UnavailableError.exit_code)
    if not all(found.ok for found in checks):
        raise click.exceptions.Exit(1)


def _say(found: Check) -> None:
    click.echo(f"{'ok  ' if found.ok else 'FAIL'} {found.name}: {found.detail}")
    if found.remedy:
        click.echo(f"     {found.remedy}")


@click.command()
@click.option(
    "--older-than",
    type=Duration(),
    default="24h",
    show_default=True,
    help="Age from which temporary objects and abandoned jobs go.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def cleanup(older_than: timedelta, dry_run: bool, as_json: bool) -> None:
    """Delete what has expired: temporary objects, abandoned and long-failed jobs."""
    from dataclasses import asdict

    from darkchannel.composition import open_jobs
    from darkchannel.storage.cleanup import cleanup as clean

    with open_jobs(Settings.from_environment()) as (client, manager):
        report = clean(client, manager, older_than=older_than, dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(f"{'would clean up' if dry_run else 'cleaned up'}: {report}")
