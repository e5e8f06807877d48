"""Help that teaches, at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Run

COMMANDS = [
    "render",
    "plan",
    "url",
    "voices",
    "voices add",
    "voices list",
    "voices remove",
    "cleanup",
    "doctor",
    "jobs list",
    "jobs show",
    "jobs watch",
    "jobs resume",
    "jobs cancel",
    "jobs delete",
    "models fetch",
    "models export",
    "models list",
    "serve api",
    "serve speech",
    "keys add",
    "keys list",
    "keys remove",
    "store serve",
    "store setup",
    "store check",
]


def test_help_loads_nothing_heavy() -> None:
    """Help needs no store library, no arrays, no speech, no terminal painting."""
    heavy = ("boto3", "botocore", "numpy", "onnxruntime", "espeakng_loader", "rich", "fastapi")
    code = (
        "import sys\n"
        "from darkchannel.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    """Each command has a sentence of its own and lists its options."""
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert f"Usage: darkchannel {command}" in done.stdout
    assert "Options:" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(run: Run, shell: str) -> None:
    """The completion script of each shell comes from the command itself."""
    done = run(env={"_DARKCHANNEL_COMPLETE": f"{shell}_source"})
    assert "_DARKCHANNEL_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["render"], ["render", "x", "--workers", "0"], ["--nonsense"]]
)
def test_usage_errors_end_with_code_2(run: Run, arguments: list[str]) -> None:
    """What cannot be understood is said on stderr, with exit code 2."""
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
