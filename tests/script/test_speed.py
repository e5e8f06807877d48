"""A megabyte is planned in seconds, whatever its shape."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from darkchannel.models import Utterance
from darkchannel.script import read_script
from tests.script.conftest import plan_of

MEGABYTE = 1_000_000
WORDS = ["casa", "rua", "menino", "velha", "tarde", "noite", "mar,", "vento", "porta", "mesa"]


def prose(separator: str) -> str:
    """A megabyte of paragraphs of six sentences."""
    rng = random.Random(1)
    paragraphs = []
    size = 0
    while size < MEGABYTE:
        paragraph = " ".join(
            " ".join(rng.choices(WORDS, k=rng.randint(4, 25))).capitalize() + "." for _ in range(6)
        )
        paragraphs.append(paragraph)
        size += len(paragraph.encode()) + 2
    return separator.join(paragraphs)


SHAPES: dict[str, Callable[[], str]] = {
    "paragraphs": lambda: prose("\n\n"),
    "prose on one line": lambda: prose(" "),
    "no stops on one line": lambda: prose(" ").replace(".", ""),
    "one word on one line": lambda: "QmFz" * (MEGABYTE // 4),
    "CRLF and wrapped": lambda: prose("\r\n\r\n").replace(" casa ", "\r\ncasa "),
    "SSML in one paragraph": lambda: f"<speak><p>{prose(' <emphasis>e</emphasis> ')}</p></speak>",
    "dots": lambda: "a." * (MEGABYTE // 2),
    "stops before lower case": lambda: "a. " * (MEGABYTE // 3),
    "brackets": lambda: "." + "]" * MEGABYTE + "a",
    "dashes": lambda: "- " * (MEGABYTE // 2) + "a",
    "accents apart": lambda: "e\u0301" * (MEGABYTE // 3),
}
FEW = ("paragraphs", "SSML in one paragraph", "dots")
"""What `make test` tries; `make acceptance` tries the rest."""


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(shape, marks=pytest.mark.slow if shape in FEW else pytest.mark.acceptance)
        for shape in SHAPES
    ],
)
def test_a_megabyte_is_planned_in_seconds(shape: str) -> None:
    """Reading and planning leave the engine's own count its share of ten seconds.

    The engine's count takes about 4 s for a megabyte, so the rest may take 6; and no
    character is counted much more than once.
    """
    text = SHAPES[shape]()
    counted = 0

    def count(utterance: Utterance) -> int:
        nonlocal counted
        counted += len(utterance.spoken)
        return int(len(utterance.spoken) * 1.17) + 1

    begun = time.process_time()
    plan = plan_of(read_script(text), count=count)
    assert time.process_time() - begun < 6
    assert counted < 1.3 * len(text)
    assert all(chunk.tokens <= 510 for chunk in plan.chunks)
