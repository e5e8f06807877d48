"""The store's figures."""

from __future__ import annotations

import pytest

from benchmarks import store

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]


def test_each_figure_is_taken_on_both_servers() -> None:
    """A small run fills every cell, and the count of concurrent increments is exact."""
    small = store.Counts(large=2, small=4, increments=3, sentences=2, medium=2)
    rows = store.run(small)
    assert len(rows) > 10
    for row in rows:
        assert len(row.figures) == 2
        assert all(figure for figure in row.figures.values())
    exact = next(row for row in rows if "count" in row.what)
    assert set(exact.figures.values()) == {exact.limit} == {"24"}
