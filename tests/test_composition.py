"""What is put together for a run, and in which order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from darkchannel import composition
from darkchannel.config import Settings, StoreConfig
from darkchannel.errors import StoreUnavailableError


def speakers_at_work() -> list[psutil.Process]:
    """Processes that this one started to speak."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # nor one that has ended
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def nobody_is_at_work() -> bool:
    """Soon: processes that were given up end by themselves."""
    deadline = time.monotonic() + 10
    while speakers_at_work():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(("engine", "at_work"), [("kokoro", 1), ("tone", 0)])
def test_the_voice_loads_while_the_store_is_made_ready(
    store_config: StoreConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    at_work: int,
) -> None:
    """What takes seconds of loading begins before the store, and ends if nobody needs it."""
    seen: list[int] = []

    @contextmanager
    def opened(_: Settings) -> Iterator[StoreConfig]:
        seen.append(len(speakers_at_work()))
        yield store_config

    monkeypatch.setattr(composition, "open_store", opened)
    settings = replace(Settings.from_environment(), data_dir=tmp_path, offline=True)
    with composition.open_production(settings, engine, workers=1):
        pass
    assert seen == [at_work]
    assert nobody_is_at_work()


def test_a_store_that_cannot_be_reached_leaves_nobody_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The voice's loading is ended, not waited for."""

    @contextmanager
    def opened(_: Settings) -> Iterator[StoreConfig]:
        raise StoreUnavailableError("the store does not answer")
        yield

    monkeypatch.setattr(composition, "open_store", opened)
    settings = replace(Settings.from_environment(), data_dir=tmp_path, offline=True)
    with (
        pytest.raises(StoreUnavailableError),
        composition.open_production(settings, "kokoro", workers=1),
    ):
        pass
    assert nobody_is_at_work()
