"""Plain text: paragraphs, headings, scene breaks and what people's exports do to them."""

from __future__ import annotations

import unicodedata

import pytest

from darkchannel.errors import ScriptError
from darkchannel.script import pauses, read_script


def paragraphs(text: str) -> list[list[str]]:
    """What is spoken, by paragraph."""
    found: list[list[str]] = [[]]
    for chapter in read_script(text).chapters:
        for utterance in chapter.utterances:
            found[-1].append(utterance.spoken)
            if utterance.pause_after >= pauses.PARAGRAPH:
                found.append([])
    return [paragraph for paragraph in found if paragraph]


def chapters(text: str) -> list[str | None]:
    """Titles of the chapters."""
    return [chapter.title for chapter in read_script(text).chapters]


WRAPPED = """\
O menino desceu a rua devagar, contando as pedras uma
a uma. Ninguém o esperava. Quando chegou à esquina,
parou.

A velha fechou a janela."""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_blank_lines_part_paragraphs_and_line_breaks_are_spaces(newline: str) -> None:
    """Hard-wrapped text is read as if it were not wrapped, whatever ends its lines."""
    assert paragraphs(WRAPPED.replace("\n", newline)) == [
        [
            "O menino desceu a rua devagar, contando as pedras uma a uma.",
            "Ninguém o esperava.",
            "Quando chegou à esquina, parou.",
        ],
        ["A velha fechou a janela."],
    ]


def test_a_file_of_one_paragraph_a_line_has_as_many_paragraphs() -> None:
    """Exports without blank lines keep their paragraphs."""
    long = "A tarde caía sobre o porto e os barcos voltavam um a um. " * 3
    text = f"{long}\nEle esperou.\n{long}\nNinguém veio.\n"
    assert len(paragraphs(text)) == 4


def test_dialogue_without_blank_lines_is_read_line_by_line() -> None:
    """Each line that a dash opens is a paragraph."""
    text = "— Você vem hoje?\n— Não sei ainda.\n— Então eu também não vou.\n"
    assert len(paragraphs(text)) == 3


def test_a_list_is_read_item_by_item() -> None:
    """Each item is a paragraph, with or without a stop."""
    assert len(paragraphs("Trouxe:\n\n- um lampião\n- duas mantas\n- pão")) == 4
    assert len(paragraphs("1. um lampião\n2. duas mantas\n3. pão")) == 3


def test_a_wrapped_line_that_happens_to_end_a_sentence_stays_in_its_paragraph() -> None:
    """A stop at the end of a full line is no reason for a paragraph."""
    text = (
        "O menino desceu a rua devagar, contando as pedras a uma.\n"
        "Ninguém o esperava ali, e ele sabia disso muito bem, sem\n"
        "dor nenhuma.\n"
    )
    assert len(paragraphs(text)) == 1


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("# A volta", "A volta"),
        ("## A volta ##", "A volta"),
        ("Capítulo 3", "Capítulo 3"),
        ("CAPÍTULO III — A volta", "CAPÍTULO III — A volta"),
        ("Capítulo Vinte e Um: A volta", "Capítulo Vinte e Um: A volta"),
        ("Capítulo 3 A volta", "Capítulo 3 A volta"),
        ("Capítulo primeiro.", "Capítulo primeiro"),
        ("Chapter 4: The return", "Chapter 4: The return"),
        ("CHAPTER TWENTY-ONE", "CHAPTER TWENTY-ONE"),
        ("Prólogo", "Prólogo"),
        ("EPÍLOGO", "EPÍLOGO"),
        ("Epílogo: anos depois", "Epílogo: anos depois"),
        ("Parte II", "Parte II"),
        ("Livro I - O mar", "Livro I - O mar"),
        (unicodedata.normalize("NFD", "Capítulo 3"), "Capítulo 3"),
        ("\ufeffCapítulo 3", "Capítulo 3"),
    ],
)
def test_a_heading_begins_a_chapter_and_is_spoken(line: str, title: str) -> None:
    """A line alone that is a heading names a chapter."""
    text = f"{line}\n\nEra uma vez um rei.\n"
    (chapter,) = read_script(text).chapters
    assert chapter.title == title
    assert chapter.utterances[0].spoken.rstrip(".") == title
    assert chapter.utterances[0].pause_after == pauses.HEADING


@pytest.mark.parametrize(
    "line",
    [
        "Capítulo 3 foi o mais difícil de escrever.",
        "Parte II do contrato foi assinada ontem",
        "Parte da casa ruiu",
        "Prólogos me cansam",
        "Chapter 4 was the worst",
        "Capítulo",
        "#semespaço",
        "# ***",
        "Capítulo 3: " + "muito " * 20,
    ],
)
def test_a_sentence_that_mentions_a_chapter_is_no_heading(line: str) -> None:
    """Only what stands alone, is short and has the form of a heading is one."""
    assert chapters(f"Ela leu.\n\n{line}\n\nEra uma vez.") == [None]


def test_the_marks_of_a_heading_are_markup() -> None:
    """The # is not spoken and has its reason."""
    text = "## A volta ##\n\nOi."
    script = read_script(text)
    assert [text[slice(*span)] for span, reason in script.unspoken if reason == "markup"] == [
        "## ",
        " ##",
    ]


def test_a_title_on_the_line_below_belongs_to_the_heading() -> None:
    """Old books print the number and the title on two lines."""
    text = "CAPÍTULO III\nA volta do rei\n\nEra uma vez."
    assert chapters(text) == ["CAPÍTULO III — A volta do rei"]
    assert paragraphs(text)[0] == ["CAPÍTULO III", "A volta do rei"]


def test_a_heading_right_above_its_text_is_still_a_heading() -> None:
    """A missing blank line does not hide a chapter."""
    text = "Capítulo 3\nEra uma vez um rei que vivia\nno alto de uma torre. Ele era só."
    assert chapters(text) == ["Capítulo 3"]
    assert paragraphs(text)[1][0].startswith("Era uma vez um rei que vivia no alto")


def test_text_before_the_first_heading_is_a_chapter_without_title() -> None:
    """Nothing before the first heading is lost."""
    assert chapters("Dedicado a ninguém em especial.\n\nCapítulo 1\n\nOi.") == [None, "Capítulo 1"]


def test_deeper_markdown_headings_stand_apart_but_begin_no_chapter() -> None:
    """Only the first two levels are chapters."""
    script = read_script("# Um\n\nOi.\n\n### Nota\n\nTchau.")
    assert [chapter.title for chapter in script.chapters] == ["Um"]
    assert [u.pause_after for u in script.chapters[0].utterances] == [1.0, 0.6, 1.0, 0.0]


def test_the_one_top_heading_is_the_title_of_the_work() -> None:
    """A book's title stands above its chapters."""
    assert read_script("# O livro\n\n## Um\n\nOi.\n\n## Dois\n\nTchau.").title == "O livro"
    assert read_script("# Um\n\nOi.\n\n# Dois\n\nTchau.").title is None


@pytest.mark.parametrize("mark", ["***", "* * *", "---", "- - -", "—————", "⁂", "*", "#", "~~~"])
def test_a_scene_break_is_a_longer_pause_and_unspoken(mark: str) -> None:
    """A line of marks is silence with a name."""
    text = f"Ele saiu.\n\n{mark}\n\nEla ficou."
    script = read_script(text)
    assert [u.pause_after for u in script.chapters[0].utterances] == [pauses.SCENE, 0.0]
    found = [text[slice(*span)] for span, reason in script.unspoken if reason == "scene break"]
    assert found == [mark]


def test_pauses_grow_with_the_step_in_the_text() -> None:
    """Sentence, paragraph, heading and chapter each have their own silence."""
    text = "Capítulo 1\n\nUm. Dois.\n\nTrês.\n\nCapítulo 2\n\nQuatro."
    found = [u.pause_after for chapter in read_script(text).chapters for u in chapter.utterances]
    assert found == [1.0, 0.3, 0.6, 2.0, 1.0, 0.0]


def test_loose_accents_are_composed_and_offsets_stay_those_of_the_file() -> None:
    """NFD input is spoken in NFC; spans count the characters as given."""
    text = unicodedata.normalize("NFD", "Não há. Coração!")
    first, second = read_script(text).chapters[0].utterances
    assert (first.spoken, second.spoken) == ("Não há.", "Coração!")
    assert text[slice(*second.spans[0])] == second.text
    assert unicodedata.is_normalized("NFD", second.text)


def test_what_cannot_be_said_is_dropped_from_the_words() -> None:
    """Zero-width characters, soft hyphens and controls never reach the engine."""
    text = "Co\u00adra\u200bção\x07 e\u00a0mar.\x0cFim \ufeffda\tlinha."
    found = [u.spoken for u in read_script(text).chapters[0].utterances]
    assert found == ["Coração e mar.", "Fim da linha."]


def test_a_word_hyphenated_softly_at_a_line_end_is_one_word() -> None:
    """A soft hyphen at the end of a line joins the two halves."""
    (utterance,) = read_script("O cora\u00ad\nção bate.").chapters[0].utterances
    assert utterance.spoken == "O coração bate."


def test_emoji_inside_a_sentence_stay() -> None:
    """Whether an engine can say a picture is the engine's affair."""
    (utterance,) = read_script("Gostei 😀 muito.").chapters[0].utterances
    assert utterance.spoken == "Gostei 😀 muito."


@pytest.mark.parametrize("text", ["...", "— … —\n\n***", "!!!\n?", "😀"])
def test_a_text_of_punctuation_only_is_refused(text: str) -> None:
    """There must be something to say."""
    with pytest.raises(ScriptError, match="nothing to say"):
        read_script(text)


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff", "\u200b"])
def test_an_empty_text_is_refused(text: str) -> None:
    """An empty string given by a program is refused like an empty file."""
    with pytest.raises(ScriptError, match=r"is empty|whitespace"):
        read_script(text)


def test_half_a_character_is_refused_with_its_line() -> None:
    """Lone surrogates cannot be written to a plan."""
    with pytest.raises(ScriptError, match=r"line 2.*U\+D800"):
        read_script("um\n\ud800")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('Oi.\n<break time="1s"/> Tchau.', "looks like a tag"),
        ("Oi.\nNÃ£o sei.", "Latin-1"),
        ("Oi.\nN\ufffdo sei.", "lost"),
    ],
)
def test_likely_accidents_are_warned_of_with_their_line(text: str, said: str) -> None:
    """Tags in plain text and damaged accents are pointed out."""
    (warning,) = read_script(text, ssml=False).warnings
    assert warning.line == 2
    assert said in warning.message
