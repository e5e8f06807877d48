"""The speech service's figures."""

from __future__ import annotations

import pytest

from benchmarks import speech_service

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_each_figure_is_taken() -> None:
    """A small run fills every row, and no chunk is lost."""
    rows = speech_service.run(speech_service.Counts(pairs=1, requests=160))
    assert len(rows) == 4
    assert all(row.figure for row in rows)
    assert next(row for row in rows if "lost" in row.what).met
