"""``darkchannel keys``: who may call the HTTP services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darkchannel.config import Settings
from darkchannel.errors import SettingError

if TYPE_CHECKING:
    from darkchannel.api.keys import KeyFile


def need_api_extra() -> None:
    """See that what the HTTP services need is installed.

    Raises:
        SettingError: it is not.
    """
    from importlib.util import find_spec

    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if not find_spec(name)]
    if missing:
        raise SettingError(
            f"the HTTP services need {', '.join(missing)}",
            remedy="pip install 'darkchannel[api]'",
        )


def _file() -> KeyFile:
    need_api_extra()
    from darkchannel.api.keys import KeyFile

    return KeyFile(Settings.from_environment().http.keys_file)


@click.group()
def keys() -> None:
    """Make, list and remove the API keys of the HTTP services.

    A service that others can reach does not start without one.  Running services see a change
    within a second or two.
    """


@keys.command()
@click.argument("name")
def add(name: str) -> None:
    """Make a key called NAME and print it: it cannot be shown again.

    Send it as `Authorization: Bearer KEY`.  Only its hash is kept.
    """
    click.echo(_file().add(name))


@keys.command(name="list")
def list_keys() -> None:
    """List the names of the keys."""
    for name in sorted(_file().read()):
        click.echo(name)


@keys.command()
@click.argument("name")
def remove(name: str) -> None:
    """Let the key called NAME no longer work."""
    _file().remove(name)
