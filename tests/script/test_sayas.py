"""What say-as makes of numbers, dates, times, letters and money."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.script.sayas import say_as


@pytest.mark.parametrize(
    ("kind", "text", "portuguese", "english"),
    [
        ("cardinal", "42", "42", "42"),
        ("cardinal", "XIV", "14", "14"),
        ("number", "-5", "menos 5", "minus 5"),
        ("cardinal", "quarenta", None, None),
        ("ordinal", "3", "3º", "3rd"),
        ("ordinal", "11", "11º", "11th"),
        ("ordinal", "22", "22º", "22nd"),
        ("ordinal", "2ª", "2ª", "2nd"),
        ("ordinal", "XXI", "21º", "21st"),
        ("ordinal", "último", None, None),
        ("characters", "CPF", "C, P, F", "C, P, F"),
        ("spell-out", "a-1", "A, hífen, 1", "A, dash, 1"),
        ("verbatim", "x@y", "X, arroba, Y", "X, at, Y"),
        ("digits", "10 2", "1 0 2", "1 0 2"),
        ("date", "12/03/2024", "12 de março de 2024", "December 3rd, 2024"),
        ("date", "1/3", "1º de março", "January 3rd"),
        ("date", "2024-03-01", "1º de março de 2024", "March 1st, 2024"),
        ("date", "03/2024", "março de 2024", "March 2024"),
        ("date", "45/03/2024", None, None),
        ("date", "12/13/14/15", None, None),
        ("time", "14:30", "14 horas e 30 minutos", "14:30"),
        ("time", "14h", "14 horas", "14:00"),
        ("time", "1h01", "1 hora e 1 minuto", "1:01"),
        ("time", "10:05:01", "10 horas, 5 minutos e 1 segundo", "10:05"),
        ("time", "2:30 pm", "14 horas e 30 minutos", "2:30 p.m."),
        ("time", "12am", "0 horas", "12 a.m."),
        ("time", "25:00", None, None),
        ("time", "cedo", None, None),
        ("telephone", "(11) 98765-4321", "1 1, 9 8 7 6 5, 4 3 2 1", "1 1, 9 8 7 6 5, 4 3 2 1"),
        ("telephone", "+55 11", "mais 5 5, 1 1", "plus 5 5, 1 1"),
        ("telephone", "nenhum", None, None),
        ("currency", "US$ 1", "1 dólar", "1 dollar"),
        ("currency", "7 EUR", "7 euros", "7 euros"),
        ("currency", "R$ 1.250,50", "1250 reais e 50 centavos", None),
        ("currency", "$1,250.50", None, "1250 dollars and 50 cents"),
        ("currency", "R$ 0,01", "1 centavo", None),
        ("currency", "5", None, None),
        ("address", "Rua A", None, None),
    ],
)
def test_say_as_in_both_languages(
    kind: str, text: str, portuguese: str | None, english: str | None
) -> None:
    """Each kind is read as its language reads it, or left as written."""
    assert say_as(kind, "", text, "pt-BR") == portuguese
    assert say_as(kind, "", text, "en-US") == english


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("mdy", "03/12/2024", "12 de março de 2024"),
        ("ymd", "24-3-12", "12 de março de 24"),
        ("dm", "12.3", "12 de março"),
        ("my", "3/24", "março de 24"),
        ("d", "12", "12"),
        ("xyz", "1/2/3", None),
        ("ddd", "1/2/3", None),
    ],
)
def test_the_format_orders_the_parts_of_a_date(form: str, text: str, said: str | None) -> None:
    """The author knows which part is the month."""
    assert say_as("date", form, text, "pt-BR") == said


def test_british_dates_begin_with_the_day() -> None:
    """Only American English puts the month first."""
    assert say_as("date", "", "12/03/2024", "en-GB") == "March 12th, 2024"


def test_other_languages_are_left_as_written() -> None:
    """What is not known is not guessed."""
    assert say_as("cardinal", "", "42", "fr-FR") is None


@given(
    st.sampled_from(["cardinal", "ordinal", "characters", "date", "time", "telephone", "currency"]),
    st.text(st.sampled_from("0123456789.,:/-hR$º ampIVX"), max_size=20),
    st.sampled_from(["pt-BR", "en-US"]),
)
def test_no_text_breaks_say_as(kind: str, text: str, language: str) -> None:
    """The result is None or words on one line."""
    said = say_as(kind, "", text, language)
    assert said is None or (said == said.strip() and said)
