"""A take's file format, written and read without tolerance."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from darkchannel.audio.wav import decode_wav, encode_wav
from darkchannel.errors import AudioError
from tests.audio.material import sine

WAV = encode_wav(sine(0.01), 24_000)


def wav(
    *, tag: int = 1, channels: int = 1, bits: int = 16, rate: int = 24_000, extra: bytes = b""
) -> bytes:
    """A WAV file of four bytes of samples with a header of one's choice."""
    align = channels * bits // 8
    header = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + extra + b"data\x04\0\0\0\1\0\2\0"
    return b"RIFF" + struct.pack("<I", len(body)) + body


@given(
    hnp.arrays(np.float32, st.integers(0, 300), elements=st.floats(-1, 1, width=32)),
    st.sampled_from([8000, 22_050, 24_000, 44_100]),
)
def test_round_trip(samples: np.ndarray, rate: int) -> None:
    """What is read back is what was written, to half a step of 16 bits."""
    decoded, decoded_rate = decode_wav(encode_wav(samples, rate))
    assert decoded_rate == rate
    assert len(decoded) == len(samples)
    assert np.all(np.abs(decoded / 32767 - samples) <= 0.51 / 32767)


def test_equal_samples_give_equal_bytes() -> None:
    """Nothing random is added."""
    assert encode_wav(sine(0.1), 24_000) == encode_wav(sine(0.1), 24_000)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.0001, -1.5])
def test_impossible_samples_are_refused(bad: float) -> None:
    """A sample that is no number or beyond full scale is an engine's fault, never rounded away."""
    with pytest.raises(AudioError, match="within"):
        encode_wav(np.array([0, bad, 0], np.float32), 24_000)


def test_more_than_one_channel_is_refused() -> None:
    """Samples have one dimension."""
    with pytest.raises(AudioError, match="mono"):
        encode_wav(np.zeros((10, 2), np.float32), 24_000)


@given(st.integers(0, len(WAV) - 1))
def test_truncated_files_are_refused(length: int) -> None:
    """However much is missing, it is noticed."""
    with pytest.raises(AudioError):
        decode_wav(WAV[:length])


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: WAV[:40] + tail))
def test_garbage_is_refused(data: bytes) -> None:
    """Whatever bytes there are, they are read or refused, with no other error."""
    try:
        samples, _ = decode_wav(data)
    except AudioError:
        return
    assert 2 * len(samples) <= len(data)


@pytest.mark.parametrize("field", [slice(4, 8), slice(40, 44)])
def test_lengths_of_unfinished_files_are_refused(field: slice) -> None:
    """A length of 0xFFFFFFFF, as streaming writers leave it, is not taken for the rest."""
    broken = bytearray(WAV)
    broken[field] = b"\xff\xff\xff\xff"
    with pytest.raises(AudioError):
        decode_wav(bytes(broken))


def test_bytes_after_the_end_are_refused() -> None:
    """A file longer than it says is not what was written either."""
    with pytest.raises(AudioError, match="bytes"):
        decode_wav(WAV + b"\0\0")


@pytest.mark.parametrize(
    "other",
    [
        {"tag": 3, "bits": 32},
        {"channels": 2},
        {"bits": 8},
        {"bits": 24},
        {"rate": 100},
    ],
)
def test_other_formats_are_refused(other: dict[str, Any]) -> None:
    """Only PCM 16 bit mono at a rate of audio is a take."""
    with pytest.raises(AudioError):
        decode_wav(wav(**other))


def test_other_chunks_are_skipped() -> None:
    """Notes that an editor leaves in a file are no reason to refuse it."""
    samples, rate = decode_wav(wav(extra=b"LIST\x03\0\0\0abc\0"))
    assert rate == 24_000
    assert samples.tolist() == [1, 2]
