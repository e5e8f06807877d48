"""Voices and languages: what is known, and how the unknown is refused."""

import pytest

from darkchannel.errors import UnknownLanguageError, UnknownVoiceError
from darkchannel.speech.engine import Voice
from darkchannel.speech.voices import VoiceCatalogue

CATALOGUE = VoiceCatalogue(
    (Voice("rosa", "pt-BR"), Voice("ana", "pt-BR"), Voice("mary", "en-US")),
    defaults={"pt-BR": "ana", "en-US": "mary"},
    aliases={"pt": "pt-BR", "en": "en-US"},
)


def test_voices_are_sorted_by_language_and_name() -> None:
    """A list of voices reads in order."""
    assert [voice.name for voice in CATALOGUE.voices] == ["mary", "ana", "rosa"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("pt-BR", "pt-BR"), ("pt-br", "pt-BR"), ("PT_BR", "pt-BR"), ("pt", "pt-BR"), ("en", "en-US")],
)
def test_languages_are_known_by_any_spelling(asked: str, meant: str) -> None:
    """Case and underscores of a tag do not matter, and a bare language has a home."""
    assert CATALOGUE.language(asked) == meant


@pytest.mark.parametrize(
    ("voice", "language", "name"),
    [
        (None, "pt", "ana"),
        (None, "en-US", "mary"),
        ("rosa", "pt-BR", "rosa"),
        ("mary", "pt", "mary"),
    ],
)
def test_a_voice_is_the_one_asked_for_or_the_default(
    voice: str | None, language: str, name: str
) -> None:
    """No voice asked for means the language's default; any voice may speak any language."""
    assert CATALOGUE.resolve(voice, language) == name


def test_an_unknown_voice_is_refused_with_the_choices_and_the_nearest() -> None:
    """The message lists the voices of that language, and the remedy the nearest name."""
    with pytest.raises(UnknownVoiceError) as refused:
        CATALOGUE.resolve("roza", "pt-BR")
    assert refused.value.message == "unknown voice 'roza': expected one of ana, rosa for pt-BR"
    assert refused.value.remedy == "did you mean rosa?"


def test_a_voice_of_nearly_another_language_is_suggested_too() -> None:
    """The nearest name is looked for among all voices."""
    with pytest.raises(UnknownVoiceError) as refused:
        CATALOGUE.resolve("Marie", "pt-BR")
    assert refused.value.remedy == "did you mean mary?"


def test_an_unknown_language_is_refused_with_the_choices_and_the_nearest() -> None:
    """The message lists the languages."""
    with pytest.raises(UnknownLanguageError) as refused:
        CATALOGUE.resolve(None, "pt-PT")
    assert refused.value.message == "unknown language 'pt-PT': expected one of en-US, pt-BR"
    assert refused.value.remedy == "did you mean pt-BR?"


def test_a_refusal_is_one_short_line_whatever_was_asked() -> None:
    """A megabyte given as a voice does not come back as a megabyte of message."""
    with pytest.raises(UnknownVoiceError) as refused:
        CATALOGUE.resolve("x" * 1_000_000, "pt-BR")
    assert len(refused.value.message) < 200
