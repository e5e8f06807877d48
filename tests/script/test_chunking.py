"""Chunk boundaries: sizes, and how little of a book an edit touches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.models import Span, Utterance
from darkchannel.script import chunking
from darkchannel.script.chunking import Counted
from tests.script.conftest import Planner

WORDS = ["casa", "rua", "menino", "velha", "tarde", "noite", "mar,", "vento", "porta", "mesa"]


def sentence(rng: random.Random) -> str:
    """A sentence of 4 to 20 words."""
    return " ".join(rng.choices(WORDS, k=rng.randint(4, 20))).capitalize() + "."


def group(sentences: Sequence[str], shortest: int = 100, longest: int = 200) -> list[str]:
    """The chunks of a paragraph of these sentences, one token a character."""
    stretch = [Counted(Utterance(s, s, "pt", spans=(Span(0, 1),)), len(s), 0) for s in sentences]
    groups = chunking.group(stretch, shortest, longest)
    return [" ".join(one.utterance.spoken for one in found) for found in groups]


@given(st.lists(st.integers(1, 250), min_size=1, max_size=80), st.integers(0, 9))
def test_chunks_keep_the_order_and_the_upper_bound(lengths: list[int], seed: int) -> None:
    """No sentence is lost, and only a single sentence may be longer than asked for."""
    rng = random.Random(seed)
    sentences = ["".join(rng.choices("abc", k=length)) for length in lengths]
    groups = group(sentences)
    assert " ".join(groups) == " ".join(sentences)
    assert all(len(chunk) <= 200 or " " not in chunk for chunk in groups)


def test_most_chunks_have_the_length_that_sounds_best() -> None:
    """Nine in ten lie between 100 and 200 tokens when sentences are ordinary."""
    rng = random.Random(2)
    sizes = [len(chunk) for chunk in group([sentence(rng) for _ in range(3000)])]
    assert sum(100 <= size <= 200 for size in sizes) > 0.8 * len(sizes)
    assert 120 < sum(sizes) / len(sizes) < 180


def changed(before: Sequence[str], after: Sequence[str]) -> int:
    """How many chunks must be rendered again."""
    return sum((Counter(after) - Counter(before)).values())


def test_an_edit_in_a_huge_paragraph_touches_few_chunks() -> None:
    """Of 3,000 sentences in one paragraph, one edit usually renders one chunk again."""
    rng = random.Random(3)
    sentences = [sentence(rng) for _ in range(3000)]
    before = group(sentences)
    counts = []
    for place in [1500, *rng.choices(range(3000), k=24)]:
        edited = [*sentences]
        edited[place] = sentence(rng)
        counts.append(changed(before, group(edited)))
    assert counts[0] <= 3
    assert sorted(counts)[len(counts) // 2] == 1
    assert sum(count <= 3 for count in counts) >= 24
    assert sum(counts) / len(counts) < 2


def test_an_edit_in_the_middle_of_a_huge_paragraph_keeps_the_digests(plan_text: Planner) -> None:
    """The takes of all but three chunks at most are found again."""
    rng = random.Random(6)
    sentences = [sentence(rng) for _ in range(3000)]
    before = [chunk.digest for chunk in plan_text(" ".join(sentences)).chunks]
    sentences[1500] = sentence(rng)
    after = [chunk.digest for chunk in plan_text(" ".join(sentences)).chunks]
    assert len(after) > 1000
    assert 1 <= changed(before, after) <= 3


@pytest.mark.parametrize("change", ["insert", "delete"])
def test_adding_or_removing_a_sentence_touches_few_chunks(change: str) -> None:
    """Nothing ripples to the end of the paragraph."""
    rng = random.Random(4)
    sentences = [sentence(rng) for _ in range(3000)]
    before = group(sentences)
    for place in range(100, 3000, 400):
        new = [sentence(rng)] if change == "insert" else []
        after = group([*sentences[:place], *new, *sentences[place + (change == "delete") :]])
        assert changed(before, after) <= 4


def test_an_edit_in_an_ordinary_book_touches_one_chunk(plan_text: Planner) -> None:
    """Paragraphs of one chunk shield all others."""
    rng = random.Random(5)
    paragraphs = [f"{sentence(rng)} {sentence(rng)}" for _ in range(50)]
    before = [chunk.digest for chunk in plan_text("\n\n".join(paragraphs)).chunks]
    paragraphs[25] = paragraphs[25].replace(".", ", enfim.", 1)
    after = [chunk.digest for chunk in plan_text("\n\n".join(paragraphs)).chunks]
    assert changed(before, after) == 1


def test_the_same_sentence_a_thousand_times_is_divided_evenly() -> None:
    """Equal hashes do not make chunks of one sentence, nor take forever."""
    sizes = [len(chunk) for chunk in group(["Repete a mesma frase sempre."] * 5000)]
    assert max(sizes) <= 200
    assert min(sizes) >= 100
