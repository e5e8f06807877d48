"""Commands of the project and of its peers, run as whole processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def render_command(source: Path, *options: str) -> list[str]:
    """The argument list that renders a file to an MP3 beside it."""
    output = str(source.with_suffix(".mp3"))
    return [
        sys.executable,
        "-m",
        "darkchannel",
        "render",
        str(source),
        "-o",
        output,
        "--json",
        *options,
    ]


def render_json(source: Path, *options: str) -> dict[str, Any]:
    """Render a file, and give what ``--json`` printed."""
    result: dict[str, Any] = json.loads(output_of(render_command(source, *options)))
    return result


def output_of(command: list[str]) -> str:
    """Run a command that must succeed, and give what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout
