"""Rules of this project that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEST_FILES = sorted(Path(__file__).parent.rglob("test_*.py"))
SOURCE_FILES = sorted((ROOT / "src").rglob("*.py"))


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_what_it_proves(path: Path) -> None:
    """Each test's docstring is a plain sentence."""
    silent = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").strip().endswith((".", "!", "?"))
    ]
    assert not silent


@pytest.mark.parametrize("path", SOURCE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_small_enough_to_read(path: Path) -> None:
    """No source file is longer than 400 lines, data tables aside."""
    assert len(path.read_text().splitlines()) <= 400
