"""A plan: voices, speeds, pauses, limits, chapters and the estimate."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkchannel.errors import (
    ScriptError,
    SettingError,
    UnknownLanguageError,
    UnknownVoiceError,
)
from darkchannel.models import (
    Chapter,
    ChapterMark,
    Plan,
    Pronunciation,
    Script,
    Span,
    Unspoken,
    Utterance,
    chunk_digest,
)
from darkchannel.script import pauses
from tests.script.conftest import Planner, characters, plan_of

LONG_SENTENCE = (
    "Quando a noite caiu sobre o porto, os barcos voltaram um a um; o menino, que esperava "
    "desde cedo, contou as velas, e eram sete: faltava a do pai, que era azul e tinha um "
    "remendo branco no meio, e ele ficou ali, parado, até que a última luz se apagou no mar "
    "e a mãe veio buscá-lo pela mão sem dizer palavra alguma."
)


def hand_made(*utterances: Utterance, characters: int | None = None) -> Script:
    """A script that no reader made."""
    length = characters or max(span.end for u in utterances for span in u.spans)
    return Script(None, (Chapter(None, utterances),), (), (), length)


@pytest.mark.parametrize("speed", [0.0, -1.0, 0.49, 2.01, 1000.0, math.nan, math.inf])
def test_a_speed_out_of_bounds_is_refused(plan_text: Planner, speed: float) -> None:
    """Speed 0 and 1000 are errors, not silence."""
    with pytest.raises(SettingError, match=r"expected 0\.5 to 2\.0"):
        plan_text("Oi.", speed=speed)


@pytest.mark.parametrize("text", ["Um. Dois. Três.", "Um.", "Um.\n\nDois. Três."])
def test_the_first_sentence_can_be_apart(plan_text: Planner, text: str) -> None:
    """By itself it is the first chunk; all is said as before, with the same pauses."""
    usual, apart = plan_text(text), plan_text(text, first_alone=True)
    said = [[u for chunk in plan.chunks for u in chunk.utterances] for plan in (usual, apart)]
    assert said[0] == said[1]
    assert [u.text for u in apart.chunks[0].utterances] == ["Um."]
    assert [chunk.index for chunk in apart.chunks] == list(range(1, len(apart.chunks) + 1))
    assert [chunk.pause_after for chunk in apart.chunks] == [
        chunk.utterances[-1].pause_after for chunk in apart.chunks
    ]


@pytest.mark.parametrize("options", [{"max_tokens": 0}, {"target": (0, 5)}, {"target": (9, 5)}])
def test_impossible_sizes_are_refused(plan_text: Planner, options: dict[str, Any]) -> None:
    """A chunk has at least one token."""
    with pytest.raises(SettingError):
        plan_text("Oi.", **options)


def test_rate_and_speed_multiply_within_bounds(plan_text: Planner) -> None:
    """A slow passage of a fast book is in between; beyond the bounds there is a warning."""
    text = (
        '<speak>Um. <prosody rate="80%">Dois.</prosody>\n<prosody rate="2">Três.</prosody></speak>'
    )
    plan = plan_text(text, speed=1.5)
    assert [chunk.speed for chunk in plan.chunks] == [1.5, 1.2, 2.0]
    (warning,) = plan.warnings
    assert warning.line == 2
    assert "speed 3 is out of bounds" in warning.message


def test_voices_are_resolved_and_never_mixed_in_a_chunk(plan_text: Planner) -> None:
    """Each chunk has one voice and one language."""
    text = '<speak>Um. <voice name="b">Dois.</voice> <s xml:lang="en-US">Three.</s></speak>'
    plan = plan_text(text, voice="a")
    assert [(c.voice, c.language) for c in plan.chunks] == [
        ("a", "pt-BR"),
        ("b", "pt-BR"),
        ("a", "en-US"),
    ]


def test_names_of_one_voice_are_one_voice(plan_text: Planner) -> None:
    """Naming the default voice does not cut a chunk."""
    text = '<speak>Um. <voice name="pf_dora">Dois.</voice></speak>'
    assert len(plan_text(text, resolve_voice=lambda voice, language: "pf_dora").chunks) == 1


def test_an_unknown_voice_is_reported_with_the_line_that_names_it(plan_text: Planner) -> None:
    """The engine's complaint gets the line; its kind and remedy stay."""

    def refuse(voice: str | None, language: str) -> str:
        if voice == "nobody":
            raise UnknownVoiceError("no voice 'nobody'", remedy="pf_dora")
        if language != "pt-BR":
            raise UnknownLanguageError("no language")
        return "x"

    with pytest.raises(UnknownVoiceError, match="line 2: no voice") as caught:
        plan_text('<speak>Um.\n<voice name="nobody">Dois.</voice></speak>', resolve_voice=refuse)
    assert caught.value.remedy == "pf_dora"
    with pytest.raises(UnknownLanguageError, match="line 3: no language"):
        plan_text('<speak>Um.\n\n<s xml:lang="fr">Deux.</s></speak>', resolve_voice=refuse)


def test_an_unknown_voice_of_the_job_has_no_line(plan_text: Planner) -> None:
    """What the command line names is not the text's fault."""

    def refuse(voice: str | None, language: str) -> str:
        raise UnknownVoiceError("no such voice")

    with pytest.raises(UnknownVoiceError, match=r"^no such voice"):
        plan_text("Oi.", voice="nobody", resolve_voice=refuse)


def test_digests_depend_on_what_is_heard_only(plan_text: Planner) -> None:
    """Pauses and offsets do not change a take; words, speed and engine do."""
    (chunk,) = plan_text("Oi, mundo.").chunks
    assert chunk.digest == plan_text("\n\n Oi,\n mundo.\n").chunks[0].digest
    assert chunk.digest == chunk_digest(
        chunk.utterances, voice=chunk.voice, language="pt-BR", speed=1.0, engine="test-engine"
    )
    others = [
        plan_text("Oi, mundos."),
        plan_text("Oi, mundo.", speed=1.1),
        plan_text("Oi, mundo.", engine="other"),
        plan_text("Oi, mundo.", voice="v"),
    ]
    assert len({chunk.digest, *(plan.chunks[0].digest for plan in others)}) == 5


def test_chunks_are_numbered_and_chapters_point_at_them(plan_text: Planner) -> None:
    """Indices run from 1 without gaps, and each chapter begins a chunk."""
    plan = plan_text("Nota.\n\n# Um\n\nOi. Tchau.\n\n# Dois\n\nFim.")
    assert [chunk.index for chunk in plan.chunks] == [1, 2, 3, 4, 5]
    assert plan.chapters == (ChapterMark("Um", 2), ChapterMark("Dois", 4))
    assert plan.chunks[3].spoken == "Dois"


def test_only_the_plain_sentence_pause_stands_inside_a_chunk(plan_text: Planner) -> None:
    """Every longer or exact pause ends its chunk; the last has none."""
    plan = plan_text('<speak><p>Um. Dois.<break time="100ms"/> Três.</p><p>Quatro.</p></speak>')
    assert [chunk.spoken for chunk in plan.chunks] == ["Um. Dois.", "Três.", "Quatro."]
    assert [chunk.pause_after for chunk in plan.chunks] == [0.1, 0.6, 0.0]
    assert plan.chunks[0].utterances[0].pause_after == pauses.SENTENCE


def test_an_estimate_counts_tokens_and_pauses(plan_text: Planner) -> None:
    """21 tokens a second at the chunk's speed, plus the silence."""
    plan = plan_text("A" * 42 + ".\n\n" + "B" * 20 + ".", speed=2.0)
    assert plan.estimated_seconds == pytest.approx((43 + 21) / 21 / 2 + 0.6, abs=1e-3)


def test_sentences_of_up_to_a_quarter_more_stay_whole(plan_text: Planner) -> None:
    """A sentence is divided only when it is well above the target."""
    sentence = "Assim foi, " * 22 + "fim."
    (chunk,) = plan_text(sentence).chunks
    assert 200 < chunk.tokens <= 250


def test_a_long_sentence_is_divided_at_clauses_into_balanced_parts(plan_text: Planner) -> None:
    """Parts end at punctuation, are about equally long, and pause like a clause."""
    plan = plan_text(LONG_SENTENCE)
    assert "".join(c.text for c in plan.chunks).replace(" ", "") == LONG_SENTENCE.replace(" ", "")
    assert [c.pause_after for c in plan.chunks[:-1]] == [pauses.CLAUSE] * (len(plan.chunks) - 1)
    assert all(c.spoken[-1] in ",;:" for c in plan.chunks[:-1])
    assert max(c.tokens for c in plan.chunks) < 1.7 * min(c.tokens for c in plan.chunks)


def test_the_best_place_for_a_cut_is_the_strongest_punctuation(plan_text: Planner) -> None:
    """A semicolon near the middle wins over a comma in the middle."""
    text = "a" * 60 + " " + "b" * 55 + "; " + "c" * 20 + ", " + "d" * 120 + " " + "e" * 20 + "."
    first, _ = plan_text(text).chunks
    assert first.spoken.endswith("b;")


def test_without_punctuation_a_conjunction_is_better_than_any_space(plan_text: Planner) -> None:
    """People breathe before "mas"."""
    text = "casa " * 27 + "mas " + "rua " * 33 + "fim"
    assert plan_text(text).chunks[1].spoken.startswith("mas ")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(["casa", "e", "rua,", "extraordinariamente", "1.250,00", "fim;"])))
def test_words_are_never_cut_and_limits_hold(plan_text: Planner, words: list[str]) -> None:
    """Whatever the words, chunks end between them and stay below the limit."""
    text = " ".join(["Era", *words * 5])
    plan = plan_text(text, max_tokens=40, target=(10, 20))
    assert [word for chunk in plan.chunks for word in chunk.spoken.split()] == text.split()
    assert all(chunk.tokens <= 40 for chunk in plan.chunks)


def test_a_word_below_the_engines_limit_stays_whole(plan_text: Planner) -> None:
    """A very long word alone is no reason to cut it."""
    plan = plan_text("x" * 400 + " fim.")
    assert plan.chunks[0].spoken == "x" * 400
    assert plan.warnings == ()


@pytest.mark.parametrize("blob", ["QmFzZTY0" * 200, "é" * 3000, "e\u0301" * 900, "x\u00ad" * 900])
def test_a_word_above_the_engines_limit_is_divided_with_a_warning(
    plan_text: Planner, blob: str
) -> None:
    """Never beyond the engine's limit wins over never inside a word; nothing is lost."""
    plan = plan_text(f"Veja:\n{blob} fim.")
    said = "".join(chunk.spoken for chunk in plan.chunks).replace(" ", "")
    assert len([c for c in said if c.isalnum()]) == len([c for c in blob if c.isalnum()]) + 7
    assert all(chunk.tokens <= 510 for chunk in plan.chunks)
    (warning,) = plan.warnings
    assert "is divided" in warning.message


def test_an_engine_that_says_more_tokens_than_characters_keeps_its_limit(
    plan_text: Planner,
) -> None:
    """The limit is the engine's own count, whatever it makes of a character."""
    plan = plan_text("1234567890" * 30 + " e fim.", count=lambda u: 9 * len(u.spoken))
    assert all(chunk.tokens <= 510 for chunk in plan.chunks)
    assert "".join(c.spoken for c in plan.chunks).startswith("123456789012345")


def test_a_substitution_is_never_divided(plan_text: Planner) -> None:
    """Phonemes and aliases stay in one piece; a long sentence is cut around them."""
    alias = "um nome comprido que se diz de uma vez só sem parar"
    middle = f'<sub alias="{alias}">N</sub>'
    given = '<phoneme ph="ab cd">uma palavra e outra, mais outra</phoneme>'
    plan = plan_text(
        f"<speak>{'casa ' * 30}{middle} {'rua ' * 30}{given}{' mar' * 20}.</speak>",
        max_tokens=120,
        target=(40, 80),
    )
    assert any(alias in chunk.spoken for chunk in plan.chunks)
    (utterance,) = (u for chunk in plan.chunks for u in chunk.utterances if u.pronunciations)
    (found,) = utterance.pronunciations
    assert utterance.spoken[found.start : found.end] == "uma palavra e outra, mais outra"


def test_a_substitution_beyond_the_engines_limit_is_an_error_with_its_line(
    plan_text: Planner,
) -> None:
    """What cannot be said in one piece is refused, never cut short."""
    with pytest.raises(ScriptError, match=r"line 2: .*more than the 510 tokens") as caught:
        plan_text(f'<speak>Oi.\n<sub alias="{"palavra " * 100}">x</sub></speak>')
    assert "shorten" in caught.value.remedy


def test_what_the_engine_cannot_say_is_named_and_its_pause_kept(plan_text: Planner) -> None:
    """An utterance without tokens is unspoken with a warning, not silently gone."""
    plan = plan_text("Um. Dois.\n\nΩ\n\nTrês.", count=lambda u: len(u.spoken) * (u.spoken != "Ω"))
    assert [chunk.spoken for chunk in plan.chunks] == ["Um. Dois.", "Três."]
    assert Unspoken(Span(11, 12), "nothing to say") in plan.unspoken
    (warning,) = plan.warnings
    assert (warning.line, "nothing to say in 'Ω'" in warning.message) == (3, True)


def test_the_last_words_have_no_pause_even_when_the_engine_skips_the_end(
    plan_text: Planner,
) -> None:
    """The book ends with its last sound."""
    plan = plan_text("Um.\n\nΩ", count=lambda u: len(u.spoken) * (u.spoken != "Ω"))
    assert plan.chunks[-1].pause_after == 0.0


def test_an_engine_that_can_say_nothing_is_an_error(plan_text: Planner) -> None:
    """An empty book is never made."""
    with pytest.raises(ScriptError, match="nothing to say"):
        plan_text("Oi.", count=lambda u: 0)


def test_a_chapter_of_which_nothing_is_said_has_no_mark(plan_text: Planner) -> None:
    """Chapter marks point at sound."""
    plan = plan_text("# Um\n\nOi.\n\n# Ω", count=lambda u: len(u.spoken) * (u.spoken != "Ω"))
    assert plan.chapters == (ChapterMark("Um", 1),)


def test_a_plan_survives_its_own_file(plan_text: Planner) -> None:
    """plan.json read back is the same plan."""
    plan = plan_text('<speak>Oi, <sub alias="mundo">m</sub>. <phoneme ph="a">b</phoneme></speak>')
    assert Plan.from_json(plan.to_json()) == plan


def test_reading_and_planning_twice_gives_the_same_plan(plan_text: Planner) -> None:
    """Nothing depends on time, order of hashing or the machine."""
    assert plan_text(LONG_SENTENCE).digest == plan_text(LONG_SENTENCE).digest


def test_a_script_made_by_hand_is_divided_where_it_can_be() -> None:
    """An utterance as long as its spans needs no reader to be cut exactly."""
    text = LONG_SENTENCE
    utterance = Utterance(
        text,
        text,
        "pt-BR",
        pronunciations=(Pronunciation(0, 90, "x"),),
        spans=(Span(5, 5 + len(text)),),
    )
    script = Script(
        None, (Chapter(None, (utterance,)),), (Unspoken(Span(0, 5), "markup"),), (), 5 + len(text)
    )
    plan = plan_of(script)
    assert all(text[c.span.start - 5 : c.span.end - 5] == c.spoken for c in plan.chunks)
    assert plan.chunks[0].utterances[0].pronunciations == (Pronunciation(0, 90, "x"),)


def test_a_script_made_by_hand_is_never_cut_where_it_cannot_be_traced() -> None:
    """Without a trace back to the input, too long is an error."""
    with pytest.raises(ScriptError, match="in one piece"):
        plan_of(hand_made(Utterance("x", "palavra " * 99, "pt-BR", spans=(Span(0, 1),))))


def test_an_engine_is_asked_about_once_for_each_sentence(plan_text: Planner) -> None:
    """Counting is what costs most, so short sentences are counted once."""
    asked: list[str] = []

    def count(utterance: Utterance) -> int:
        asked.append(utterance.spoken)
        return characters(utterance)

    plan_text("Um dia. Outro dia. Mais um. " * 50, count=count)
    assert len(asked) == 150


def test_importing_the_stage_is_cheap() -> None:
    """Nothing of the stage is loaded before it is used; plain text needs no XML parser."""
    code = (
        "import sys, darkchannel.script as s;"
        "assert 'darkchannel.script.reading' not in sys.modules;"
        "s.make_plan; s.read_script('Oi.'); print({'numpy', 'pyexpat'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
