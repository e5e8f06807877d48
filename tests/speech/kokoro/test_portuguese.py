"""What espeak-ng misreads in Portuguese is put into words before it sees it."""

import pytest

from darkchannel.speech.kokoro.portuguese import read_out, unstressed_end


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("R$ 1.250,00", "mil duzentos e cinquenta reais"),
        ("R$1", "um real"),
        ("R$ 0,50", "cinquenta centavos"),
        ("R$ 2,01", "dois reais e um centavo"),
        ("R$ 1.000.000,00", "um milhão de reais"),
        ("R$ 3 milhões", "3 milhões de reais"),
        ("R$ 1,50 milhão", "1,50 milhão de reais"),
        ("US$ 20 mil", "20 mil dólares"),
        ("£ 2", "duas libras"),
    ],
)
def test_money_is_said_as_money(written: str, said: str) -> None:
    """The currency follows its amount, in the right number, with its cents."""
    assert read_out(f"custou {written}, disse") == f"custou {said}, disse"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("15h30", "quinze horas e trinta"),
        ("15:30", "quinze horas e trinta"),
        ("1h", "uma hora"),
        ("2h05", "duas horas e cinco"),
        ("21h", "vinte e uma horas"),
        ("00h15min", "zero hora e quinze"),
        ("7 h", "sete horas"),
    ],
)
def test_the_time_of_day_is_said_in_hours(written: str, said: str) -> None:
    """Hours are feminine, and minutes follow."""
    assert read_out(f"às {written}.") == f"às {said}."


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2 horas", "duas horas"),
        ("21 mulheres", "vinte e uma mulheres"),
        ("500 páginas", "quinhentas páginas"),
        ("2 mil pessoas", "duas mil pessoas"),
        ("1 vez", "uma vez"),
        ("2 estações", "duas estações"),
    ],
)
def test_numbers_agree_with_a_feminine_noun(written: str, said: str) -> None:
    """One, two and the hundreds take the gender of what is counted."""
    assert read_out(written) == said


@pytest.mark.parametrize(
    "text",
    [
        "2 dias",
        "1 problema",
        "2 mapas",
        "3 casas",
        "Em 1945 acaba a guerra",
        "em 1888 chegava",
        "o placar foi 2 a 1",
        "Capítulo 2",
        "3,5%",
        "João 3:16",
        "a 2ª vez",
        "2.500",
        "século XIX",
        "Ele chegou. E depois?",
        "Isso é. E o gato?",
    ],
)
def test_what_espeak_reads_well_is_left_alone(text: str) -> None:
    """Masculine counts, years, ordinals, decimals and plain text do not change."""
    assert read_out(text) == text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("12/05/2020", "12 de maio de 2020"),
        ("01/01/1999", "primeiro de janeiro de 1999"),
        ("31/13/2020", "31/13/2020"),
        ("1939—1945", "1939 a 1945"),
        ("10-12", "10 a 12"),
        ("3333-4444", "3333 4444"),
        ("3-2", "3 2"),
        ("10 km/h", "10 quilômetros por hora"),
        ("1 km", "1 quilômetro"),
        ("25 °C", "25 graus Celsius"),
        ("2,5 kg", "2,5 quilos"),
    ],
)
def test_dates_ranges_and_units_are_words(written: str, said: str) -> None:
    """A hyphen between figures is never "minus", and a unit never spelled."""
    assert read_out(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("O Sr. João e a Sra. Ana", "O senhor João e a senhora Ana"),
        ("p. ex. aqui", "por exemplo aqui"),
        ("pão, etc.", "pão, etcétera."),
        ("pão, etc. e tal", "pão, etcétera e tal"),
        ("A. B. Silva", "A  B  Silva"),
        ("consr. nada", "consr. nada"),
    ],
)
def test_abbreviations_are_said_whole(written: str, said: str) -> None:
    """An abbreviation loses its full stop, unless the sentence ends there."""
    assert read_out(written) == said


@pytest.mark.parametrize(
    ("text", "sounds", "expected"),
    [
        ("e", "ˈɛ", "i"),
        ("É", "ˌɛaɡˈudʊ", "ˈɛ"),
        ("o pão e ", "ʊ pˈɐ̃ʊ̃ ˈɛ", "ʊ pˈɐ̃ʊ̃ i"),
        ("ele é", "ˈely ˈɛ", "ˈely ˈɛ"),
        ("café", "kafˈɛ", "kafˈɛ"),
    ],
)
def test_a_small_word_before_a_comma_is_not_a_letter(text: str, sounds: str, expected: str) -> None:
    """Before a comma, "e" does not become "é", nor "É" a spelled letter."""
    assert unstressed_end(text, sounds) == expected
