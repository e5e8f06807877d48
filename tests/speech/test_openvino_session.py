"""Graphs are compiled beside other work, and what is not wanted any more is not."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import partial
from typing import Any

import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.openvino_session import Graphs

ENDS = """
import time
from darkchannel.speech.openvino_session import Graphs

def compiled(read):
    time.sleep(0.3)
    print("compiled", flush=True)

Graphs({str(i): None for i in range(50)}, compiled, threads=2)
time.sleep(0.1)
"""


def named(names: str) -> dict[str, Any]:
    """Graphs that are their names."""
    return {name: partial(str, name) for name in names}


def test_graphs_are_compiled_in_their_order_without_being_asked_for() -> None:
    """All of them, one after the other."""
    made: list[str] = []
    done = threading.Event()

    def compiled(read: Any) -> Any:
        made.append(read())
        if len(made) == 3:
            done.set()
        return made[-1]

    graphs = Graphs(named("abc"), compiled)
    assert done.wait(5)
    assert made == ["a", "b", "c"]
    assert graphs["b"] == "b"
    assert len(made) == 3


def test_one_that_fails_is_tried_again_when_it_is_asked_for() -> None:
    """And is no matter to the others."""
    tries: list[str] = []

    def compiled(read: Any) -> Any:
        tries.append(read())
        if tries.count("a") == 1 and tries[-1] == "a":
            raise EngineUnavailableError("no such kernel")
        return tries[-1]

    graphs = Graphs(named("ab"), compiled)
    assert graphs["b"] == "b"
    with pytest.raises(EngineUnavailableError):
        graphs._begun["a"].result()
    assert graphs["a"] == "a"


def test_a_process_that_ends_does_not_compile_what_is_left() -> None:
    """A service that is told to end has two seconds; all graphs take longer."""
    command = [sys.executable, "-c", ENDS]
    said = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert said.stdout.count("compiled") == 2
    assert not said.stderr
