"""Where things lie in the buckets, and which names are let in."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darkchannel.errors import InvalidKeyError
from darkchannel.storage import keys

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize("job_id", ["a", "7", "A.b_c-d", "a..b", "x" * 128, "livro-1.2"])
def test_job_ids_of_callers_are_kept(job_id: str) -> None:
    """Letters, digits, dots, dashes and underscores make a job id of up to 128 characters."""
    assert keys.check_job_id(job_id) == job_id


@pytest.mark.parametrize(
    "job_id",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-rf", "_x", "a b", "a\n", "é", "a\x00"),
        *("%2e%2e", "a?b", "٣", "x" * 129),
    ],
)
def test_job_ids_that_could_point_elsewhere_are_refused(job_id: str) -> None:
    """Anything else is refused, traversal and line ends included, and the remedy says why."""
    with pytest.raises(InvalidKeyError) as caught:
        keys.metadata_key(job_id)
    assert "A-Z" in caught.value.remedy


@given(st.text(max_size=200))
def test_a_job_id_is_either_refused_or_stays_below_its_own_prefix(job_id: str) -> None:
    """No text at all leads to a key outside the job's folder."""
    try:
        key = keys.metadata_key(job_id)
    except InvalidKeyError:
        assert not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", job_id, re.ASCII)
    else:
        assert key.split("/") == [job_id, "metadata.json"]
        assert keys.check_key(key) == key


def test_keys_follow_the_layout_of_the_design() -> None:
    """Every object of a job has the name that other programs rely on."""
    assert keys.metadata_key("j") == "j/metadata.json"
    assert keys.input_key("j", "ssml") == "j/input.ssml"
    assert keys.plan_key("j") == "j/plan.json"
    assert keys.chunk_key("j", 1) == "j/chunks/chunk-00001.wav"
    assert keys.final_key("j", "audiobook.mp3") == "j/final/audiobook.mp3"
    assert keys.take_cache_key(DIGEST) == f"takes/{DIGEST}.wav"
    assert keys.output_key(dt.date(2026, 3, 9), "Capítulo 1", "mp3") == "2026-03-09/Capítulo 1.mp3"


@given(st.integers(1, keys.MAX_CHUNKS))
def test_a_chunk_index_can_be_read_back_from_its_key(index: int) -> None:
    """The index in a key is the one it was made of, however many digits it has."""
    assert keys.chunk_index(keys.chunk_key("j", index)) == index


def test_keys_of_chunks_sort_as_their_indices_up_to_five_digits() -> None:
    """A listing is in order up to chunk 99,999, and only the index tells the order beyond."""
    indices = [1, 9, 10, 99, 100, 9_999, 10_000, 99_999]
    assert sorted(keys.chunk_key("j", index) for index in indices) == [
        keys.chunk_key("j", index) for index in indices
    ]
    beyond = sorted(keys.chunk_key("j", index) for index in (99_999, 100_000))
    assert sorted(beyond, key=lambda key: keys.chunk_index(key) or 0) == beyond[::-1]


@pytest.mark.parametrize(
    "key",
    [
        "j/plan.json",
        "j/chunks/chunk-1.wav",
        "j/chunks/chunk-000001.wav",
        "j/chunks/chunk-00000.wav",
        "j/chunks/chunk-00001.wav.tmp",
        "j/chunks/chunk-0000x.wav",
    ],
)
def test_no_other_key_counts_as_a_take(key: str) -> None:
    """A key that chunk_key would not make has no index."""
    assert keys.chunk_index(key) is None


@pytest.mark.parametrize("index", [0, -1, keys.MAX_CHUNKS + 1])
def test_chunk_indices_out_of_range_are_refused(index: int) -> None:
    """Chunks count from 1."""
    with pytest.raises(InvalidKeyError):
        keys.chunk_key("j", index)


@pytest.mark.parametrize("ext", ["", "TXT", "t.x", "../x", "x" * 9, "a/b"])
def test_formats_that_are_not_plain_words_are_refused(ext: str) -> None:
    """An extension is 1 to 8 lower-case letters or digits."""
    with pytest.raises(InvalidKeyError):
        keys.input_key("j", ext)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x.mp3", ".x", "é.mp3"])
def test_names_below_final_are_plain(name: str) -> None:
    """A file of the book cannot be placed outside final/."""
    with pytest.raises(InvalidKeyError):
        keys.final_key("j", name)


@pytest.mark.parametrize("digest", ["", "x" * 64, DIGEST[:-1], DIGEST.upper(), f"{DIGEST[:-2]}/."])
def test_only_a_digest_names_a_cached_take(digest: str) -> None:
    """The cache is addressed by SHA-256 in lower-case hexadecimal and nothing else."""
    with pytest.raises(InvalidKeyError):
        keys.take_cache_key(digest)


@pytest.mark.parametrize("name", ["../x", "a/b", "", " a", "a.", ".a", "CON", "x" * 101, "a\n"])
def test_an_output_name_has_to_be_a_safe_one(name: str) -> None:
    """What safe_name would have changed is refused rather than repaired in silence."""
    with pytest.raises(InvalidKeyError):
        keys.output_key(dt.date(2026, 1, 1), name, "mp3")


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "./a", "a/..", "a/../b", "a\nb", "x" * 1025]
)
def test_keys_that_a_server_might_fold_are_refused(key: str) -> None:
    """Empty and dotted segments, control characters and overlong keys never reach the store."""
    with pytest.raises(InvalidKeyError):
        keys.check_key(key)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Capítulo 1: A Casa", "Capítulo 1 - A Casa"),
        ("Às 12:30", "Às 12-30"),
        ("e/ou", "e-ou"),
        ("../../etc/passwd", "etc-passwd"),
        ("..\\..\\windows", "windows"),
        ("O quê?", "O quê"),
        ("  muito   espaço\t\n aqui ", "muito espaço aqui"),
        ("Sa\u0303o Joa\u0303o", "São João"),
        ("nul", "_nul"),
        ("COM1.txt", "_COM1.txt"),
        ("conto", "conto"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("fim...", "fim"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("a\x00b\x07", "ab"),
        ("", "audiobook"),
        ("???", "audiobook"),
        ("...", "audiobook"),
        ("吾輩は猫である", "吾輩は猫である"),
        ("🎧 livro", "🎧 livro"),
    ],
)
def test_titles_become_readable_file_names(title: str, name: str) -> None:
    """A title keeps its letters and loses what a file name must not have."""
    assert keys.safe_name(title) == name


@given(st.text(max_size=400))
@example("e" * 99 + "\u0301\u0301" * 3)
@example("🎧" * 200)
@example("con" + "." * 120)
@example("a" * 99 + ". b")
def test_a_safe_name_is_safe_whatever_the_title(title: str) -> None:
    """The result is bounded, NFC, one segment, visible, and stays as it is."""
    name = keys.safe_name(title)
    assert 1 <= len(name) <= 100
    assert len(f"{name}.report.json".encode()) <= 255
    assert unicodedata.is_normalized("NFC", name)
    assert not set(name) & set('/\\:*?"<>|')
    assert not any(unicodedata.category(character)[0] == "C" for character in name)
    assert name == name.strip(" .")
    assert name[0] not in ".-"
    assert name.partition(".")[0].rstrip().lower() not in {
        "con",
        "prn",
        "aux",
        "nul",
        "com1",
        "lpt9",
    }
    assert keys.safe_name(name) == name
    assert keys.output_key(dt.date(2026, 1, 1), name, "mp3").count("/") == 1


def test_a_long_title_is_not_cut_inside_a_letter() -> None:
    """An accent written separately goes with its letter."""
    title = "x" * 98 + "q\u0301\u0301z"
    assert keys.safe_name(title) == "x" * 98
