"""A megabyte is planned in seconds, whatever its shape."""

from __future__ import annotations

import random
import time

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


SHAPES = {
    "paragraphs": prose("\n\n"),
    "prose on one line": prose(" "),
    "no stops on one line": prose(" ").replace(".", ""),
    "one word on one line": "QmFz" * (MEGABYTE // 4),
    "CRLF and wrapped": prose("\r\n\r\n").replace(" casa ", "\r\ncasa "),
    "SSML in one paragraph": f"<speak><p>{prose(' <emphasis>e</emphasis> ')}</p></speak>",
    "dots": "a." * (MEGABYTE // 2),
    "stops before lower case": "a. " * (MEGABYTE // 3),
    "brackets": "." + "]" * MEGABYTE + "a",
    "dashes": "- " * (MEGABYTE // 2) + "a",
    "accents apart": "e\u0301" * (MEGABYTE // 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_is_planned_in_seconds(shape: str) -> None:
    """Reading and planning leave the engine's own count its share of ten seconds.

    The engine's count takes about 4 s for a megabyte, so the rest may take 6; and no
    character is counted much more than once.
    """
    text = SHAPES[shape]
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
