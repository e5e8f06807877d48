"""The figures of voice conversion."""

from __future__ import annotations

import importlib.util

import pytest

from benchmarks import openvoice

WITHOUT_TORCH = importlib.util.find_spec("torch") is None


@pytest.mark.skipif(not WITHOUT_TORCH, reason="torch is installed")
def test_without_torch_it_says_that_it_was_skipped() -> None:
    """One line names what is missing, and fails nothing."""
    (row,) = openvoice.run()
    assert "skipped: torch" in row.what
    assert row.met
