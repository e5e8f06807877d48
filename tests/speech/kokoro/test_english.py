"""What espeak-ng misreads in English is put into words before it sees it."""

import pytest

from darkchannel.speech.kokoro.english import read_out


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$5.50", "5 dollars and 50 cents"),
        ("$1", "1 dollar"),
        ("£1,250.00", "1,250 pounds"),
        ("$0.05", "5 cents"),
        ("$3.5 million", "3.5 million dollars"),
        ("€20", "20 euros"),
    ],
)
def test_money_is_said_as_money(written: str, said: str) -> None:
    """The currency follows its amount."""
    assert read_out(f"It cost {written}.") == f"It cost {said}."


@pytest.mark.parametrize(
    ("written", "said"),
    [("1888", "18 88"), ("1905", "19 oh 5"), ("1900", "19 hundred"), ("2024", "2024")],
)
def test_years_are_said_in_pairs(written: str, said: str) -> None:
    """A year of earlier centuries is two numbers."""
    assert read_out(f"in {written}, they") == f"in {said}, they"


@pytest.mark.parametrize("text", ["1,888", "0.1888", "11888", "$1888", "1888.5", "A1888"])
def test_other_numbers_are_no_years(text: str) -> None:
    """Four figures inside something else are left alone."""
    assert "18 88" not in read_out(text)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Mr. Smith and Dr. Jones", "Mr Smith and Dr Jones"),
        ("J. R. Hartley", "J  R  Hartley"),
        ("I saw him. He left.", "I saw him. He left."),
    ],
)
def test_the_stop_of_a_title_ends_nothing(written: str, said: str) -> None:
    """Titles and initials lose their full stop; sentences keep theirs."""
    assert read_out(written) == said
