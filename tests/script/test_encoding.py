"""Bytes of an input file become text, or an error that names the line."""

from __future__ import annotations

import codecs
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkchannel.errors import ScriptError, SettingError
from darkchannel.script import decode, encoding

LINE = "Não há coração às três horas.\n"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_utf_8_comes_through_unchanged(text: str) -> None:
    """Whatever is not refused is decoded to the character."""
    try:
        assert decode(text.encode()) == text
    except ScriptError as error:
        assert "nothing but whitespace" in error.message or "is empty" in error.message  # noqa: PT017


@given(st.binary(max_size=60), st.sampled_from([None, "utf-16", "latin-1", "utf-8"]))
def test_no_bytes_break_the_decoder(data: bytes, name: str | None) -> None:
    """Bytes are text or a ScriptError that names a line."""
    try:
        decode(data, encoding=name)
    except ScriptError as error:
        assert error.message.startswith(("line ", "the input "))  # noqa: PT017


def test_a_byte_order_mark_stays_the_first_character() -> None:
    """Offsets count the characters of the file as given."""
    assert decode(codecs.BOM_UTF8 + b"Oi.") == "\ufeffOi."


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \r\n\t\n", "nothing but whitespace"),
        (codecs.BOM_UTF8, "nothing but whitespace"),
        ("\u200b\xa0\n".encode(), "nothing but whitespace"),
    ],
)
def test_nothing_to_read_is_refused(data: bytes, said: str) -> None:
    """An empty file is not a silent book."""
    with pytest.raises(ScriptError, match=said):
        decode(data)


def test_latin_1_is_named_with_line_byte_and_remedy() -> None:
    """An old file says where it stops being UTF-8 and how to read it."""
    data = b"Primeira.\r\nSegunda.\n" + "A terça é não.".encode("latin-1")
    with pytest.raises(ScriptError, match=r"line 3: byte 25 \(0xE7\) .* Latin-1") as caught:
        decode(data)
    assert "--encoding latin-1" in caught.value.remedy
    assert decode(data, encoding="latin-1").endswith("terça é não.")


def test_windows_1252_is_told_from_latin_1() -> None:
    """Curly quotes exist only in Windows-1252."""
    with pytest.raises(ScriptError, match="Windows-1252") as caught:
        decode("“Não”, disse.".encode("windows-1252"))
    assert "--encoding windows-1252" in caught.value.remedy


@pytest.mark.parametrize("name", ["utf-16", "utf-32"])
def test_wide_encodings_are_named(name: str) -> None:
    """What Windows calls Unicode is recognised by its mark, and read when asked to."""
    with pytest.raises(ScriptError) as caught:
        decode(LINE.encode(name))
    assert f"--encoding {name}" in caught.value.remedy
    assert decode(LINE.encode(name), encoding=name) == LINE


def test_a_nul_makes_it_binary_and_names_the_line() -> None:
    """Binary files are refused before anybody tries to read them aloud."""
    with pytest.raises(ScriptError, match=r"line 2: .*binary.*byte 7"):
        decode(b"um\ndois\0tres")
    with pytest.raises(ScriptError, match=r"line 2: .*binary"):
        decode(b"um\n\0", encoding="latin-1")


def test_random_bytes_are_binary() -> None:
    """Noise without a single NUL is still no text."""
    noise = bytes(random.Random(7).choices(range(1, 256), k=4000))
    with pytest.raises(ScriptError, match=r"line \d+: .*binary"):
        decode(noise)


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13"])
def test_an_unknown_encoding_is_a_setting_error(name: str) -> None:
    """A misspelt --encoding says so."""
    with pytest.raises(SettingError, match=name):
        decode(b"abc", encoding=name)


def test_a_wrong_encoding_names_the_byte() -> None:
    """Asking for ASCII does not hide what is not ASCII."""
    with pytest.raises(ScriptError, match="line 1: byte 1"):
        decode("Não".encode(), encoding="ascii")


def test_an_xml_declaration_names_the_encoding() -> None:
    """SSML may say itself what it is written in."""
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><speak>Não.</speak>'
    assert decode(text.encode("latin-1")) == text
    with pytest.raises(ScriptError, match="klingon"):
        decode(text.replace("ISO-8859-1", "klingon").encode())


def test_a_declared_wide_encoding_in_8_bit_text_is_not_believed() -> None:
    """Editors often leave a stale utf-16 declaration in a UTF-8 file."""
    text = '<?xml version="1.0" encoding="utf-16"?><speak>Não.</speak>'
    assert decode(text.encode()) == text


def test_an_input_beyond_the_bound_is_refused() -> None:
    """Memory is bounded before anything is decoded."""
    with pytest.raises(ScriptError, match="at most 67,108,864"):
        decode(b"a" * (encoding.LARGEST_INPUT + 1))


def test_a_cut_off_character_at_the_end_is_named() -> None:
    """A download that broke inside a character is noticed."""
    with pytest.raises(ScriptError, match=r"line 1: byte 3 .*damaged or cut off"):
        decode("É ã".encode()[:-1])
