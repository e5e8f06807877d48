"""The commands the documents show are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = ["README.md", "README.pt-BR.md", "docs/tutorial.md", "docs/how-to.md"]
CHAPTER = "# Capítulo 1: O relógio\n\nO relógio da praça parou às três horas.\n"

# `make` targets are run by CI itself; these here would install over what is being tested.
NOT_HERE = re.compile(r"^(make|pip) .*$", re.MULTILINE)


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language in a document, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def environment() -> dict[str, str]:
    """That of a user with the command on the path and no store of their own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    return env


def runnable(block: str, store: StoreConfig) -> str:
    """A block as it can be run here: placeholders filled in, endless commands ended."""
    block = NOT_HERE.sub("", block)
    block = block.replace("http://127.0.0.1:9000", store.endpoint)
    block = block.replace(
        "MINIO_ACCESS_KEY=...", f"MINIO_ACCESS_KEY={store.credentials.access_key}"
    )
    block = block.replace(
        "MINIO_SECRET_KEY=...", f"MINIO_SECRET_KEY={store.credentials.secret_key}"
    )
    return re.sub(r"^(darkchannel store serve)$", r"timeout -s INT 8 \1", block, flags=re.MULTILINE)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_shell_commands_work(document: str, tmp_path: Path, store_config: StoreConfig) -> None:
    """Every shell block of a document runs to its end, in order, in one folder."""
    (tmp_path / "chapter.txt").write_text(CHAPTER, encoding="utf-8")
    for block in blocks(document, "sh"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", runnable(block, store_config)],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        ended = done.returncode == 0 or ("store serve" in block and done.returncode == 124)
        assert ended, f"{block}\n{done.stderr}"


@pytest.mark.acceptance
@pytest.mark.timeout(600)
def test_python_examples_work(tmp_path: Path) -> None:
    """Every Python block of the how-to runs to its end."""
    (tmp_path / "chapter.txt").write_text(CHAPTER, encoding="utf-8")
    for block in blocks("docs/how-to.md", "python"):
        subprocess.run(
            [sys.executable, "-"],
            input=f"if __name__ == '__main__':\n{re.sub('^', '    ', block, flags=re.MULTILINE)}",
            cwd=tmp_path,
            env=environment(),
            text=True,
            timeout=300,
            check=True,
        )


def test_links_lead_somewhere() -> None:
    """Every relative link in a document leads to a file of this repository."""
    lost = []
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if not (document.parent / target).exists():
                lost.append(f"{document.name}: {target}")
    assert not lost


def test_every_command_is_in_the_reference() -> None:
    """The reference names each command there is."""
    from darkchannel.cli import cli

    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    assert [name for name in cli.commands if f"| `{name}" not in reference] == []


def test_every_setting_is_in_the_reference() -> None:
    """The reference names each setting of our own."""
    from darkchannel.config import OWN_NAMES

    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    assert [name for name in OWN_NAMES if f"`{name}`" not in reference] == []
