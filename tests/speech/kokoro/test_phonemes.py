"""Text to phonemes, with the real espeak-ng."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkchannel.errors import ScriptError
from darkchannel.models import Pronunciation
from darkchannel.speech.kokoro.phonemes import LANGUAGES, Phonemizer
from darkchannel.speech.kokoro.vocabulary import TOKEN_IDS, encode
from tests.speech.material import utterance

PHONEMES = Phonemizer()


def say(text: str, language: str = "pt-BR", *given: Pronunciation) -> str:
    """Phonemes of one sentence."""
    return PHONEMES(utterance(text, language, given), language)


@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("pão", "pˈɐ\u0303ʊ\u0303"),
        ("tia", "ʧˈiæ"),
        ("dia", "ʤˈiæ"),
        ("ninho", "nˈiɲʊ"),
        ("guerra", "ɡˈɛxæ"),
        ("Olá, mundo!", "olˈa, mˈu\u0303ŋdʊ!"),
    ],
)
def test_portuguese_sounds_as_in_brazil(text: str, sounds: str) -> None:
    """Nasals, affricates and the open vowels are those of pt-BR, in the model's symbols."""
    assert say(text) == sounds


@pytest.mark.parametrize(
    ("language", "sounds"),
    [("en-US", "wˈɔTəɹ hˈɪɹ ɡˈO"), ("en-GB", "wˈɔːtə hˈɪə ɡˈQ")],
)
def test_english_has_two_accents(language: str, sounds: str) -> None:
    """American and British English differ as they should."""
    assert say("Water here, go".replace(",", ""), language) == sounds


def test_decomposed_letters_sound_like_composed_ones() -> None:
    """NFD text keeps its nasals."""
    assert say("pa\u0303o, mac\u0327a\u0303") == say("pão, maçã")


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("— Você vai? — perguntou ela.", ["?", "—", "."]),
        ("- Vou - disse.", ["—", "."]),
        ("«Sim», disse...", ["“", "”", ",", "…"]),
        ('Ele disse: "vem" (rindo); saiu!', [":", '"', '"', "(", ")", ";", "!"]),
        ("Custa 1.250,50 às 15:30.", ["."]),
        ("[nota] fim", ["(", ")"]),
        (", então veio", []),
    ],
)
def test_punctuation_is_kept_where_it_is_heard(text: str, marks: list[str]) -> None:
    """Marks come through in order; those inside numbers or before the first word do not."""
    assert [symbol for symbol in say(text) if symbol in ';:,.!?—…"()“”'] == marks


@pytest.mark.parametrize("text", ["", " ", "…", "— —", "?!", "\x00\x07", "\u200b", "()"])
def test_nothing_to_say_has_no_phonemes(text: str) -> None:
    """Punctuation and invisible characters alone are silent."""
    assert say(text) == ""


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_becomes_symbols_the_model_knows(language: str, text: str) -> None:
    """Whatever characters come, every symbol is in the vocabulary, and spaces are single."""
    sounds = say(text, language)
    assert len(encode(sounds)) == len(sounds)
    assert sounds == " ".join(sounds.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [("casa " * 400, 400), ("ba" * 1000, None), ("casa\x00 azul", 2), ("casa\x01 azul", 2)],
    ids=["long sentence", "long word", "NUL", "control character"],
)
def test_nothing_is_cut_off(text: str, words: int | None) -> None:
    """Long sentences, endless words and a NUL in the middle are read to their end."""
    sounds = say(text)
    if words is None:
        assert sounds.count("b") == 1000
    else:
        assert len(sounds.split()) == words


def test_a_given_pronunciation_replaces_its_words_exactly() -> None:
    """Phonemes by the author stand where the word stood, and nowhere else."""
    text = "Ela viu a Xuxa, hoje."
    plain = say(text).replace("a ʃˈuʃæ", "a {}")
    sounds = say(text, "pt-BR", Pronunciation(10, 14, "ˈʃusɐ"))
    assert sounds == plain.format("ˈʃusɐ")


@pytest.mark.parametrize(
    ("ipa", "symbols"),
    [
        ("t͡ʃaɡo", "ʧaɡo"),
        ("tʃago", "ʧaɡo"),
        ("ˈd͡ʒi.ɐ", "ˈʤiɐ"),
        ("'kaza", "ˈkaza"),
        ("õ", "o\u0303"),
        ("ça", "ça"),
        ("ʀɫ", "ʁl"),
    ],
)
def test_ipa_is_read_in_its_usual_spellings(ipa: str, symbols: str) -> None:
    """Ties, plain g, syllable dots and typewriter stress become the model's symbols."""
    assert say("xxxx", "pt-BR", Pronunciation(0, 4, ipa)) == symbols


def test_a_pronunciation_that_is_not_ipa_is_refused() -> None:
    """The error shows the symbol."""
    with pytest.raises(ScriptError, match="'7'"):
        say("sete", "pt-BR", Pronunciation(0, 4, "se7e"))


@pytest.mark.parametrize("symbol", sorted(TOKEN_IDS))
def test_every_symbol_of_the_model_can_be_given(symbol: str) -> None:
    """An author may write the model's own symbols."""
    sounds = say("a b", "pt-BR", Pronunciation(0, 1, f"a{symbol}a"))
    assert sounds.startswith("aa" if symbol in ".^" else f"a{symbol}a")


def test_a_deep_installation_path_does_not_silence_espeak(tmp_path: Path) -> None:
    """espeak-ng fails on data paths beyond 160 bytes; a link keeps it working."""
    import espeakng_loader

    deep = tmp_path.joinpath(*["d" * 60] * 4)
    package = Path(espeakng_loader.__file__).parent
    shutil.copytree(package, deep / package.name)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from darkchannel.speech.kokoro import espeak\n"
        "print(espeak.phonemize('casa', 'pt-BR'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(deep)], check=True, capture_output=True, text=True
    )
    assert said.stdout.strip() == "kˈazæ"
