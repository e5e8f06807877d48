"""SSML 1.1: what it says, what it only hints at, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from darkchannel.errors import ScriptError
from darkchannel.models import Pronunciation, Script, Utterance
from darkchannel.script import pauses, read_script
from tests.script.conftest import Planner


def read(body: str, **options: Any) -> Script:
    """A document with this body."""
    return read_script(f"<speak>{body}</speak>", **options)


def utterances(body: str, **options: Any) -> list[Utterance]:
    """All its utterances."""
    return [u for chapter in read(body, **options).chapters for u in chapter.utterances]


def spoken(body: str) -> list[str]:
    """All that is said."""
    return [utterance.spoken for utterance in utterances(body)]


def warnings(body: str) -> list[str]:
    """All warnings."""
    return [warning.message for warning in read(body).warnings]


@pytest.mark.parametrize(
    "text",
    [
        "<speak>Oi.</speak>",
        "\ufeff \n<speak>Oi.</speak>\n",
        '<?xml version="1.0"?>\n<speak version="1.1">Oi.</speak>',
        '\n<?xml version="1.0" encoding="latin-1"?>\r\n<speak>Oi.</speak>\r\n',
    ],
)
def test_ssml_is_recognised_by_how_it_begins(text: str) -> None:
    """A document needs no option to be read as one."""
    (utterance,) = read_script(text).chapters[0].utterances
    assert utterance.spoken == "Oi."


def test_what_it_is_can_be_said_from_outside() -> None:
    """The file name's ending may decide."""
    (utterance,) = read_script("<speak>Oi.</speak>", ssml=False).chapters[0].utterances
    assert utterance.spoken == "<speak>Oi.</speak>"
    with pytest.raises(ScriptError, match="line 1"):
        read_script("Oi.", ssml=True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('Um <break time="500ms"/> dois.', [0.5, 0.0]),
        ('Um. <break time="1.5s"/> Dois.', [1.5, 0.0]),
        ('Um.<break time="1s"/><break time="250ms"/>Dois.', [1.25, 0.0]),
        ('Um. <break strength="none"/> Dois.', [0.0, 0.0]),
        ('Um. <break strength="strong"/> Dois.', [0.6, 0.0]),
        ("Um. <break/> Dois.", [0.4, 0.0]),
        ('<p>Um.<break time="200ms"/></p><p>Dois.</p>', [0.2, 0.0]),
        ('<p>Um.</p><break time="3s"/><p>Dois.</p>', [3.0, 0.0]),
        ('Um.<break time="200ms"/><mark name="chapter:B"/>Dois.', [0.2, 0.0]),
    ],
)
def test_breaks_are_exact(body: str, expected: list[float]) -> None:
    """A break takes the place of the pause that would be there."""
    assert [u.pause_after for u in utterances(body)] == expected


def test_a_break_as_long_as_the_natural_pause_still_ends_the_chunk(plan_text: Planner) -> None:
    """300 ms asked for are made by the assembly, not left to the engine."""
    plan = plan_text('<speak>Um. <break time="300ms"/> Dois.</speak>')
    assert [chunk.spoken for chunk in plan.chunks] == ["Um.", "Dois."]
    assert plan.chunks[0].pause_after == pytest.approx(0.3, abs=0.005)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<break time="1s"/>Oi.', "before the first word"),
        ('Oi.<break time="1s"/>', "after the last word"),
        ('Oi. <break time="30s"/> Tchau.', "shortened to 10 s"),
        ('Oi. <break time="depois"/> Tchau.', "not a time"),
        ('Oi. <break strength="enorme"/> Tchau.', "not one of"),
        ('<prosody pitch="+2st">Oi.</prosody>', "pitch> is not applied"),
        ('<prosody rate="depressa">Oi.</prosody>', "not a rate"),
        ('<prosody rate="900%">Oi.</prosody>', "out of bounds"),
        ('<prosody rate="0%">Oi.</prosody>', "out of bounds"),
        ('<p xml:lang="português">Oi.</p>', "not a language tag"),
        ('<voice name="a b">Oi.</voice>', "only 'a' is tried"),
        ('<voice gender="female">Oi.</voice>', "gender> is not applied"),
        ('<audio src="x.mp3">Oi.</audio>', "not played"),
        ("<amazon:effect>Oi.</amazon:effect>", "<amazon:effect> is not known"),
        ('<lexicon uri="x"/>Oi.', "not applied"),
        ("<sub>Oi</sub>", "without an alias"),
        ("<phoneme>Oi</phoneme>", "without ph"),
        ('<phoneme alphabet="x-sampa" ph="o">Oi</phoneme>', "not ipa"),
        ('<say-as interpret-as="address">Oi</say-as>', "cannot be said as 'address'"),
        ('<say-as interpret-as="date">Oito</say-as>', "cannot be said as 'date'"),
        ('<sub alias="Oi"><b>O</b></sub>', "<b> inside <sub>"),
        ("<p>Oi.</p><p>😀</p>", "nothing to say"),
    ],
)
def test_what_is_not_followed_to_the_letter_is_warned_of(body: str, said: str) -> None:
    """The text is read all the same, and the warning names the line."""
    script = read(f"\n{body}")
    assert script.chapters[0].utterances[0].spoken.startswith("Oi")
    (warning,) = script.warnings
    assert said in warning.message
    assert warning.line == 2


@pytest.mark.parametrize(
    "body",
    [
        '<break time="30s"/>',
        '<prosody pitch="low">x</prosody>',
        '<prosody rate="900%">x</prosody>',
        '<audio src="x"/>',
        "<b>x</b>",
        '<say-as interpret-as="address">x</say-as>',
        '<phoneme alphabet="x-sampa" ph="o">x</phoneme>',
        "<sub>x</sub>",
        '<p xml:lang="?">x</p>',
    ],
)
def test_a_strict_reader_refuses_instead(body: str) -> None:
    """With strict, what would be a warning is an error that names the line."""
    with pytest.raises(ScriptError, match="line 2"):
        read(f"Oi.\n{body}", strict=True)


def test_a_strict_reader_accepts_what_can_be_followed() -> None:
    """Strict is no stricter than needed."""
    body = '<p>Oi, <emphasis>você</emphasis>.<break time="1s"/><mark name="x"/> Sim.</p>'
    assert len(utterances(body, strict=True)) == 2


def test_the_same_warning_is_given_once_and_counted() -> None:
    """Ten thousand unknown tags are one warning."""
    assert warnings("<b>Oi.</b> " * 40) == ["<b> is not known; the text inside is read (40 times)"]


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("x-slow", 0.6),
        ("slow", 0.8),
        ("medium", 1.0),
        ("default", 1.0),
        ("fast", 1.25),
        ("x-fast", 1.6),
        ("80%", 0.8),
        ("1.2", 1.2),
        ("+20%", 1.2),
        ("-10%", 0.9),
        ("900%", 2.0),
        ("0", 0.5),
    ],
)
def test_rates_are_relative_to_the_voice(value: str, rate: float) -> None:
    """Names, numbers and percentages all become one number, within bounds."""
    (utterance,) = utterances(f'<prosody rate="{value}">Oi.</prosody>')
    assert utterance.rate == pytest.approx(rate)


def test_signed_rates_are_relative_to_the_element_around() -> None:
    """Ten per cent faster than slow is still rather slow."""
    body = '<prosody rate="slow">Um. <prosody rate="+10%">Dois.</prosody></prosody>'
    assert [u.rate for u in utterances(body)] == pytest.approx([0.8, 0.88])


def test_voice_language_and_rate_split_a_sentence() -> None:
    """A change of voice inside a sentence makes utterances of its parts."""
    body = 'Ele disse <voice name="pm_alex">não vou</voice>, e <lang xml:lang="en_us">left</lang>.'
    found = [(u.spoken, u.voice, u.language, u.pause_after) for u in utterances(body)]
    assert found == [
        ("Ele disse", None, "pt-BR", pauses.CLAUSE),
        ("não vou,", "pm_alex", "pt-BR", pauses.CLAUSE),
        ("e", None, "pt-BR", pauses.CLAUSE),
        ("left.", None, "en-US", 0.0),
    ]


def test_a_change_inside_a_sentence_element_pauses_like_a_clause() -> None:
    """A foreign word in the middle of <s> is no new sentence."""
    body = '<s>Ele disse <lang xml:lang="en-US">hello</lang> e saiu</s><s>Fim</s>'
    assert [u.pause_after for u in utterances(body)] == [0.12, 0.12, 0.3, 0.0]


def test_the_root_and_any_element_may_name_a_language() -> None:
    """xml:lang holds until its element ends."""
    text = '<speak xml:lang="en-US"><p>One.</p><p xml:lang="pt-BR">Dois.</p><s>Three.</s></speak>'
    found = [u.language for c in read_script(text).chapters for u in c.utterances]
    assert found == ["en-US", "pt-BR", "en-US"]


def test_a_sentence_element_is_one_sentence() -> None:
    """What stands in <s> is not split at its stops."""
    assert spoken("<s>Um. Dois</s><s>Três</s>") == ["Um. Dois", "Três"]
    assert [u.pause_after for u in utterances("<s>Um</s> <s>Dois</s>")] == [pauses.SENTENCE, 0.0]


def test_paragraphs_pause_as_in_plain_text() -> None:
    """<p> and, outside of it, a blank line end a paragraph."""
    body = "<p>Um.\n\nAinda um.</p>Dois.\n\nTrês."
    assert [u.pause_after for u in utterances(body)] == [0.3, 0.6, 0.6, 0.0]


def test_emphasis_and_marks_leave_a_sentence_whole() -> None:
    """Tags that change nothing cut nothing."""
    (utterance,) = utterances('Um <emphasis level="strong">belo</emphasis><mark name="a"/> dia.')
    assert utterance.spoken == "Um belo dia."
    assert len(utterance.spans) == 3


def test_an_alias_is_said_and_the_text_stays_as_written() -> None:
    """Subtitles show what the author wrote; the voice says the alias."""
    (utterance,) = utterances('A <sub alias="Organização  Mundial">OMS</sub> avisou.')
    assert utterance.spoken == "A Organização Mundial avisou."
    assert utterance.text == "A OMS avisou."


def test_stops_in_an_alias_end_no_sentence() -> None:
    """An alias is one piece."""
    assert spoken('O <sub alias="Sr. F. Ele mesmo">F</sub> veio. Saiu.') == [
        "O Sr. F. Ele mesmo veio.",
        "Saiu.",
    ]


def test_phonemes_are_passed_through_at_their_place() -> None:
    """The engine gets the author's IPA and the range it stands for."""
    body = 'Um. O <phoneme alphabet="ipa" ph="tɔˈmatʃi">tomate</phoneme> caiu.'
    utterance = utterances(body)[1]
    assert utterance.pronunciations == (Pronunciation(2, 8, "tɔˈmatʃi"),)
    assert utterance.spoken[2:8] == "tomate"


def test_an_empty_phoneme_or_alias_says_what_its_tag_says() -> None:
    """SSML allows both without a text; their words stand in the tag."""
    first, second = utterances('<s><phoneme ph="oi"/></s><s><sub alias="Fulano"/></s>')
    assert (first.spoken, first.pronunciations) == ("oi", (Pronunciation(0, 2, "oi"),))
    assert second.spoken == "Fulano"


def test_references_and_cdata_are_characters() -> None:
    """A reference covers its whole source and is one character of the text."""
    text = "<speak>Caf&#233; &amp; p&#xe3;o <![CDATA[<b>]]> &#x1F600;.</speak>"
    (utterance,) = read_script(text).chapters[0].utterances
    assert utterance.spoken == utterance.text == "Café & pão <b> 😀."
    assert "".join(text[slice(*span)] for span in utterance.spans) == (
        "Caf&#233; &amp; p&#xe3;o <b> &#x1F600;."
    )


def test_an_accent_in_a_reference_is_composed_with_its_letter() -> None:
    """NFC holds across the seam between text and reference."""
    assert spoken("Cafe&#769; bom.") == ["Café bom."]


def test_descriptions_titles_and_metadata_are_not_read() -> None:
    """They have their reasons, and the title names the work."""
    script = read("<title>O livro</title><metadata><x>y</x></metadata><p>Oi.</p><desc>foto</desc>")
    assert script.title == "O livro"
    assert [u.spoken for u in script.chapters[0].utterances] == ["Oi."]
    assert {"metadata", "description"} <= {reason for _, reason in script.unspoken}
    assert script.warnings == ()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("chapter:A volta", "A volta"),
        ("chapter: A volta ", "A volta"),
        ("chapter-a-volta", "a-volta"),
        ("chapter-7", "Capítulo 7"),
        ("chapter", "Capítulo 1"),
        ("Chapter", "Capítulo 1"),
    ],
)
def test_marks_begin_chapters(name: str, title: str) -> None:
    """A mark named chapter is a chapter; its name may carry the title."""
    script = read(f'<p>Antes.</p><mark name="{name}"/><p>Depois.</p>')
    assert [chapter.title for chapter in script.chapters] == [None, title]
    assert script.chapters[0].utterances[-1].pause_after == pauses.CHAPTER


def test_other_marks_begin_nothing() -> None:
    """Only names that begin with the word chapter count."""
    assert len(read('Um. <mark name="chapters"/> <mark name="x"/> Dois.').chapters) == 1


def test_a_heading_after_a_chapter_mark_belongs_to_it() -> None:
    """Mark and heading are one chapter, under the mark's title."""
    script = read('<mark name="chapter:Um"/><p>Capítulo 1</p><p>Oi.</p>')
    (chapter,) = script.chapters
    assert chapter.title == "Um"
    assert [u.pause_after for u in chapter.utterances] == [pauses.HEADING, 0.0]


def test_headings_in_paragraphs_begin_chapters() -> None:
    """SSML without marks is divided by its headings."""
    script = read("<p>Capítulo 1</p><p>Oi.</p><p>Capítulo 2: Fim</p><p>Tchau.</p>")
    assert [chapter.title for chapter in script.chapters] == ["Capítulo 1", "Capítulo 2: Fim"]


def test_a_chapter_without_text_is_left_out_with_a_warning() -> None:
    """A mark at the very end begins nothing."""
    script = read('<p>Oi.</p><mark name="chapter:Fim"/>')
    assert len(script.chapters) == 1
    assert "'Fim' has no text" in script.warnings[0].message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<speak>\n<p>Oi.\n</speak>", r"line 3, column 1: expected </p>.*<p> of line 2"),
        ("<speak>Oi.", r"line 1, column \d+: expected </speak>"),
        ("<speak>\n<p>Oi", r"line 2, column \d+: expected </p>"),
        ("<speak>Oi & tchau</speak>", r"line 1, column \d+: .*not well-formed"),
        ("<speak>\nOi&nbsp;você</speak>", r"line 2, column 3: unknown entity &nbsp;"),
        ("<speak>Oi.</speak> fim", "text after </speak>"),
        ("<speak>Oi.</speak><speak/>", "text after </speak>"),
        ("<speak>\x01Oi.</speak>", "not well-formed"),
        ("<speak>Oi\x00.</speak>", "line 1"),
        ("<?xml version='1.0'?><html><p>Oi.</p></html>", "<html>: expected <speak>"),
        ("<speak><break time=1s/></speak>", "not well-formed"),
        ("<speak", "line 1"),
        ("<speak><p a='1' a='2'>x</p></speak>", "line 1"),
        ("<speak>\u00e9\u00e9<p>Oi.</speak>", "line 1, column 16"),
    ],
)
def test_malformed_ssml_names_line_column_and_what_was_expected(text: str, said: str) -> None:
    """Nobody has to guess which tag was not closed."""
    with pytest.raises(ScriptError, match=said):
        read_script(text)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE speak PUBLIC "-//W3C//DTD SYNTHESIS 1.0//EN" "http://127.0.0.1:9/x.dtd">',
        '<!DOCTYPE speak SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE speak [<!ENTITY a "b">]>',
        '<!DOCTYPE speak [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
        "<!DOCTYPE speak [<!ENTITY a0 'x'>"
        + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10))
        + "]>",
    ],
)
def test_document_types_and_entities_are_refused_at_once(declaration: str) -> None:
    """No bomb goes off and nothing outside the document is read."""
    with pytest.raises(ScriptError, match=r"line 2, column 1: .*refused"):
        read_script(f"<?xml version='1.0'?>\n{declaration}\n<speak>&a9;</speak>")


def test_nesting_is_bounded() -> None:
    """A thousand elements inside one another are refused."""
    with pytest.raises(ScriptError, match=r"line 1, column \d+: more than 64"):
        read("<p>" * 1000 + "Oi." + "</p>" * 1000)


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_of_other_systems_keep_their_offsets(newline: str) -> None:
    """XML turns CRLF into one character; offsets still are those of the file."""
    text = f"<speak>{newline}<p>Um{newline}dia.</p>{newline}{newline}Fim é.{newline}</speak>"
    first, last = (u for c in read_script(text).chapters for u in c.utterances)
    assert first.spoken == "Um dia."
    assert text[slice(*last.spans[0])] == "Fim é."
