"""Where things lie in the buckets, and which names are let in.

Every key is built here, so that a job id or a title from outside can never point anywhere but
below its own prefix.  A name that is not allowed is refused, never repaired in silence; the
one exception is :func:`safe_name`, whose very purpose is to make a file name of a title.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata

from darkchannel.errors import InvalidKeyError

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_FORMAT = re.compile(r"[a-z0-9]{1,8}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_VOICE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_CHUNK = re.compile(r"chunk-(\d{5,7})\.wav")

MAX_CHUNKS = 9_999_999
"""Far beyond any book, and a bound for what a listing may claim."""

MAX_KEY_BYTES = 1024
"""S3's own limit on the UTF-8 length of a key."""

MAX_NAME_CHARACTERS = 100
_MAX_NAME_BYTES = 240  # 255, what common file systems allow, less room for an extension

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


def check_job_id(job_id: str) -> str:
    """Give a job id back if it is allowed.

    Raises:
        InvalidKeyError: it does not match ``[A-Za-z0-9][A-Za-z0-9._-]{0,127}``.
    """
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise InvalidKeyError(
            f"job id {_shown(job_id)} is not allowed",
            remedy="use 1 to 128 of A-Z a-z 0-9 . _ - and begin with a letter or digit",
        )
    return job_id


def check_key(key: str) -> str:
    """Give an object key back if every store keeps it as it is.

    Empty segments, ``.`` and ``..`` are refused: some servers fold them, so that two keys
    would be one object.

    Raises:
        InvalidKeyError: the key is empty, too long, or has such a segment or control characters.
    """
    segments = key.split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise InvalidKeyError(f"object key {_shown(key)} has an empty, '.' or '..' segment")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
        raise InvalidKeyError(f"object key {_shown(key)} has control characters")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKeyError(f"object key {_shown(key)} is longer than {MAX_KEY_BYTES} bytes")
    return key


def job_prefix(job_id: str) -> str:
    """``{job_id}/``: everything of one job."""
    return f"{check_job_id(job_id)}/"


def metadata_key(job_id: str) -> str:
    """The job's state."""
    return f"{job_prefix(job_id)}metadata.json"


def input_key(job_id: str, ext: str) -> str:
    """What was asked for.

    Args:
        job_id: the job.
        ext: format of the input such as ``txt`` or ``ssml``, without a dot.

    Raises:
        InvalidKeyError: either is not allowed.
    """
    return f"{job_prefix(job_id)}input.{_check_format(ext)}"


def plan_key(job_id: str) -> str:
    """The job's plan."""
    return f"{job_prefix(job_id)}plan.json"


def chunks_prefix(job_id: str) -> str:
    """All takes of one job."""
    return f"{job_prefix(job_id)}chunks/"


def chunk_key(job_id: str, index: int) -> str:
    """The take of one chunk.

    Keys sort as their indices do up to 99,999; beyond, the number has more digits and a
    listing is out of order: take the index from :func:`chunk_index`, never from the position.

    Raises:
        InvalidKeyError: the job id is not allowed, or the index is not 1 to 9,999,999.
    """
    if not 1 <= index <= MAX_CHUNKS:
        raise InvalidKeyError(f"chunk index {index} is not between 1 and {MAX_CHUNKS}")
    return f"{chunks_prefix(job_id)}chunk-{index:05d}.wav"


def chunk_index(key: str) -> int | None:
    """The index in a key made by :func:`chunk_key`; None for any other key."""
    match = _CHUNK.fullmatch(key.rpartition("/")[2])
    if match is None:
        return None
    index = int(match[1])
    # chunk-0000001.wav would be a second name for chunk 1.
    return index if index >= 1 and match[1] == f"{index:05d}" else None


def final_key(job_id: str, name: str) -> str:
    """A file of the finished book, such as ``audiobook.mp3``.

    Raises:
        InvalidKeyError: the job id or the name is not allowed.
    """
    if not _JOB_ID.fullmatch(name):
        raise InvalidKeyError(f"file name {_shown(name)} is not allowed below final/")
    return f"{job_prefix(job_id)}final/{name}"


def take_cache_key(digest: str) -> str:
    """A take in the cross-job cache.

    Raises:
        InvalidKeyError: the digest is not a SHA-256 in lower-case hexadecimal.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidKeyError(f"{_shown(digest)} is not a SHA-256 in hexadecimal")
    return f"takes/{digest}.wav"


def voices_prefix() -> str:
    """All reference voices, in the bucket of references."""
    return "voices/"


def voice_key(name: str, ext: str) -> str:
    """A file of a reference voice: its recording (``wav``), or what is known of it (``json``).

    Raises:
        InvalidKeyError: the name or the format is not allowed.
    """
    if not _VOICE.fullmatch(name):
        raise InvalidKeyError(
            f"voice name {_shown(name)} is not allowed",
            remedy="use 1 to 40 letters, digits, hyphens and underscores, a letter first",
        )
    return f"{voices_prefix()}{name}.{_check_format(ext)}"


def voice_name(key: str) -> str | None:
    """The name of a voice from the key of its recording; None if it is something else."""
    name = key.removeprefix(voices_prefix()).removesuffix(".wav")
    return name if _VOICE.fullmatch(name) and key == voice_key(name, "wav") else None


def output_key(date: dt.date, name: str, ext: str) -> str:
    """A published file: ``{YYYY-MM-DD}/{name}.{ext}``.

    Args:
        date: the day of publication, in UTC.
        name: as :func:`safe_name` makes it.
        ext: format such as ``mp3``, without a dot.

    Raises:
        InvalidKeyError: the name is not one that :func:`safe_name` returns, or the format is
            not allowed.
    """
    if safe_name(name) != name:
        raise InvalidKeyError(f"file name {_shown(name)} is not allowed")
    return check_key(f"{date.year:04d}-{date.month:02d}-{date.day:02d}/{name}.{_check_format(ext)}")


def safe_name(title: str) -> str:
    """Make a file name of a title: readable, and allowed on every common file system.

    The letters of any script stay (in NFC).  Separators become dashes; control characters,
    invisible formatting and what Windows forbids go; so do leading dots and dashes.  At most 100
    characters and 240 bytes of UTF-8.  Applying it twice changes nothing.

    Returns:
        The name without extension; ``audiobook`` when nothing is left of the title.
    """
    name = unicodedata.normalize("NFC", title)
    name = re.sub(r"\s*:\s+", " - ", name)
    name = re.sub(r"[/\\|:]+", "-", name)
    name = "".join(
        " " if character.isspace() else character
        for character in name
        if character.isspace() or unicodedata.category(character)[0] != "C"
    )
    name = re.sub(r"[*?\"<>]", "", name)
    # What was between two letters is gone: they may have become one.
    name = unicodedata.normalize("NFC", re.sub(r" +", " ", name)).lstrip(" .-").rstrip(" .")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    return _shortened(name).rstrip(" .") or "audiobook"


def _shortened(name: str) -> str:
    short = name[:MAX_NAME_CHARACTERS]
    while len(short.encode()) > _MAX_NAME_BYTES:
        short = short[:-1]
    # A letter must not lose only its last accents.
    while short and len(short) < len(name) and unicodedata.combining(name[len(short)]):
        short = short[:-1]
    return short


def _check_format(ext: str) -> str:
    if not _FORMAT.fullmatch(ext):
        raise InvalidKeyError(
            f"format {_shown(ext)} is not allowed", remedy="use 1 to 8 lower-case letters or digits"
        )
    return ext


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
