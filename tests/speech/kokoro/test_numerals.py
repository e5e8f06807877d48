"""Portuguese cardinals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.speech.kokoro.numerals import LIMIT, cardinal


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (16, "dezesseis"),
        (21, "vinte e um"),
        (100, "cem"),
        (101, "cento e um"),
        (342, "trezentos e quarenta e dois"),
        (1000, "mil"),
        (1001, "mil e um"),
        (1100, "mil e cem"),
        (1250, "mil duzentos e cinquenta"),
        (2024, "dois mil e vinte e quatro"),
        (1_000_000, "um milhão"),
        (2_000_300, "dois milhões e trezentos"),
        (3_000_000_000, "três bilhões"),
        (1_234_567, "um milhão duzentos e trinta e quatro mil quinhentos e sessenta e sete"),
    ],
)
def test_numbers_have_their_words(number: int, words: str) -> None:
    """Cardinals follow the rules for "e" and the plural of millions."""
    assert cardinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "uma"),
        (2, "duas"),
        (12, "doze"),
        (21, "vinte e uma"),
        (100, "cem"),
        (200, "duzentas"),
        (2000, "duas mil"),
        (2_000_002, "dois milhões e duas"),
    ],
)
def test_feminine_numbers_agree(number: int, words: str) -> None:
    """One, two and the hundreds agree; a million stays the masculine noun it is."""
    assert cardinal(number, feminine=True) == words


@given(st.integers(0, LIMIT - 1), st.integers(0, LIMIT - 1), st.booleans())
def test_different_numbers_have_different_words(one: int, other: int, feminine: bool) -> None:
    """No two numbers are said alike."""
    same = cardinal(one, feminine=feminine) == cardinal(other, feminine=feminine)
    assert same == (one == other)


@pytest.mark.parametrize("number", [-1, LIMIT])
def test_numbers_out_of_range_are_refused(number: int) -> None:
    """What has no words here raises."""
    with pytest.raises(ValueError, match="is not between"):
        cardinal(number)
