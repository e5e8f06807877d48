"""Text as tones: a modem that survives mastering and lossy coding.

An utterance becomes one *frame* of 16-level frequency-shift keying (one nibble a symbol)::

    sync   4 symbols on two frequencies no data uses: high low high high
    header 12 nibbles: voice, language, speed in 1/1000 (4), length in bytes (4), CRC-8 (2)
    body   2 nibbles for each byte of the UTF-8 text, then a CRC-16 of them (4 nibbles)
    stop   2 sync symbols: low low

Sync and header have symbols of 16 ms; the body's are 16 ms divided by the speed.  Every symbol
holds a whole number of cycles of a sine, so the phase never jumps, no symbol leaks into the
detector of another, and a frame begins and ends at zero.  Frequencies lie between 625 Hz and
4.75 kHz, where MP3 and AAC at audiobook rates keep everything; a limiter adds harmonics,
but always weaker than the tone itself.
"""

from __future__ import annotations

import binascii
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from darkchannel.errors import AudioError
from darkchannel.speech.limits import FASTEST, SLOWEST

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 24_000
SYMBOL_FRAMES = 384
"""Length of a symbol at speed 1: 16 ms at 24 kHz."""

MAX_BYTES = 0xFFFF

_FREQUENCIES = np.array([1000.0 + 250.0 * nibble for nibble in range(16)] + [625.0, 812.5])
_HIGH, _LOW = 16, 17
_SYNC = (_HIGH, _LOW, _HIGH, _HIGH)
_STOP = (_LOW, _LOW)
_HEADER_NIBBLES = 12
_PREFIX_SYMBOLS = len(_SYNC) + _HEADER_NIBBLES

_AMPLITUDE = 0.1 * 2**0.5
"""Peak of the sine, so that its RMS is -20 dBFS, about that of speech before mastering."""


class Reading(NamedTuple):
    """One utterance read back from sound.

    Attributes:
        text: what was said.
        voice: number of the voice, 0 to 15.
        language: number of the language, 0 to 15.
        speed: relative to 1.0, to a thousandth.
        start: seconds from the start of the samples.
        end: seconds.
    """

    text: str
    voice: int
    language: int
    speed: float
    start: float
    end: float


def body_symbol_frames(speed: float) -> int:
    """Length of a symbol of the body at 24 kHz."""
    return round(SYMBOL_FRAMES / speed)


def encode(text: str, *, voice: int, language: int, speed: float) -> Samples:
    """The frame of one utterance at 24 kHz, float32, RMS -20 dBFS.

    Raises:
        ValueError: a field does not fit; the text has over 65,535 bytes.
    """
    data = text.encode()
    thousandths = round(speed * 1000)
    if not (0 <= voice < 16 and 0 <= language < 16 and SLOWEST <= speed <= FASTEST):
        raise ValueError(f"no frame for voice {voice}, language {language}, speed {speed}")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes are more than a frame's {MAX_BYTES}")
    fields = bytes([voice << 4 | language, *thousandths.to_bytes(2), *len(data).to_bytes(2)])
    prefix = [*_SYNC, *_nibbles(fields + bytes([_crc8(fields)]))]
    body = [*_nibbles(data + binascii.crc_hqx(data, 0).to_bytes(2))]
    waves, body_waves = _waves(SYMBOL_FRAMES), _waves(body_symbol_frames(thousandths / 1000))
    return np.concatenate(
        [waves[prefix].ravel(), body_waves[body].ravel(), waves[list(_STOP)].ravel()]
    )


def decode(samples: Samples, sample_rate: int) -> list[Reading]:
    """Read back every utterance, in order, whatever silence lies between them.

    Args:
        samples: mono, shape ``[frames]``, at any level and at 16 kHz or more.
        sample_rate: in Hz.

    Raises:
        AudioError: something sounds that is not a whole frame; the message says where.
    """
    return list(_Reader(np.asarray(samples, np.float32), sample_rate).frames())


def _crc8(data: bytes) -> int:
    return binascii.crc_hqx(data, 0xFFFF) & 0xFF


def _nibbles(data: bytes) -> npt.NDArray[np.intp]:
    octets = np.frombuffer(data, np.uint8)
    return np.stack([octets >> 4, octets & 15], axis=1).ravel().astype(np.intp)


def _cycles(frames: int) -> npt.NDArray[np.float64]:
    return np.round(_FREQUENCIES * frames / SAMPLE_RATE)


@lru_cache(maxsize=64)
def _waves(frames: int) -> Samples:
    """One symbol for each frequency, shape ``[18, frames]``."""
    turns = np.outer(_cycles(frames), np.arange(frames) / frames)
    return (_AMPLITUDE * np.sin(2 * np.pi * turns)).astype(np.float32)


class _Reader:
    """Finds frames in samples: coarsely by energy, finely by their sync, then by arithmetic."""

    def __init__(self, samples: Samples, sample_rate: int) -> None:
        self.samples = samples
        self.rate = sample_rate
        self.scale = sample_rate / SAMPLE_RATE
        self.hop = round(0.004 * sample_rate)
        hops = len(samples) // self.hop
        blocks = samples[: hops * self.hop].reshape(hops, self.hop)
        level = np.sqrt(np.einsum("ij,ij->i", blocks, blocks) / self.hop)
        loud = float(np.percentile(level[level > 1e-4], 75)) if (level > 1e-4).any() else 1.0
        # Tones are of one level: a quarter of it is sound; codec noise and fades are not.
        self.sounding = np.flatnonzero(level > loud / 4) * self.hop

    def frames(self) -> list[Reading]:
        readings: list[Reading] = []
        position = 0
        while (following := np.searchsorted(self.sounding, position)) < len(self.sounding):
            reading = self._frame_near(int(self.sounding[following]))
            readings.append(reading)
            # A codec smears a frame's end over some milliseconds.
            position = round(reading.end * self.rate) + self.hop
        return readings

    def _frame_near(self, onset: int) -> Reading:
        for start in self._sync_candidates(onset):
            prefix = self._symbols(start, SYMBOL_FRAMES, len(_SYNC), _PREFIX_SYMBOLS)
            if prefix is None:
                continue
            header = _octets(prefix)
            if prefix.max() < 16 and _crc8(header[:-1]) == header[-1]:
                return self._body(start, header)
        raise AudioError(f"at {onset / self.rate:.3f} s sounds something that is not a tone frame")

    def _sync_candidates(self, onset: int) -> list[int]:
        """Starts within 24 ms of an onset, the likeliest first: coarsely, then to 0.1 ms."""
        reach, coarse, fine = (round(seconds * self.rate) for seconds in (0.024, 1e-3, 1e-4))
        around = np.arange(onset - reach, onset + reach, coarse)
        best = int(around[np.argmax(self._sync_score(around))])
        close = np.arange(best - coarse, best + coarse, max(1, fine))
        score = self._sync_score(close)
        order = np.argsort(-score, kind="stable")
        return [int(start) for start in close[order] if start >= 0]

    def _sync_score(self, starts: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
        """How much the sound from each start on is like the sync, in units of its level."""
        length = round(SYMBOL_FRAMES * self.scale)
        score = np.zeros(len(starts))
        for place, symbol in enumerate(_SYNC):
            begins = starts + round(place * SYMBOL_FRAMES * self.scale)
            inside = (begins >= 0) & (begins + length <= len(self.samples))
            if not inside.any():
                return np.full(len(starts), -np.inf)
            strength = _strengths(self._windows(length)[begins[inside]], SYMBOL_FRAMES)
            sign = 1.0 if symbol == _HIGH else -1.0
            score[inside] += sign * (strength[:, _HIGH] - strength[:, _LOW])
            score[~inside] = -np.inf
        return score

    def _body(self, start: int, header: bytes) -> Reading:
        speed = int.from_bytes(header[1:3]) / 1000
        size = int.from_bytes(header[3:5])
        at = f"at {start / self.rate:.3f} s"
        if not SLOWEST <= speed <= FASTEST:
            raise AudioError(f"{at} begins a tone frame with the impossible speed {speed}")
        frames = body_symbol_frames(speed)
        body_start = start + _PREFIX_SYMBOLS * SYMBOL_FRAMES * self.scale
        count = 2 * (size + 2)
        symbols = self._symbols(body_start, frames, 0, count)
        if symbols is None:
            raise AudioError(f"{at} begins a tone frame that is cut off")
        end = body_start + (count * frames + len(_STOP) * SYMBOL_FRAMES) * self.scale
        octets = _octets(symbols) if symbols.max() < 16 else b"\0\0\1"
        data, checksum = octets[:-2], int.from_bytes(octets[-2:])
        if binascii.crc_hqx(data, 0) != checksum:
            raise AudioError(f"{at} begins a tone frame whose checksum is wrong")
        return Reading(
            text=data.decode(),
            voice=header[0] >> 4,
            language=header[0] & 15,
            speed=speed,
            start=start / self.rate,
            end=end / self.rate,
        )

    def _symbols(
        self, start: float, frames: int, first: int, last: int
    ) -> npt.NDArray[np.intp] | None:
        """The symbols ``first`` to ``last`` of a row of them; None where the samples end."""
        length = int(frames * self.scale)
        begins = np.round(start + np.arange(first, last) * (frames * self.scale)).astype(np.intp)
        if len(begins) and begins[-1] + length > len(self.samples):
            return None
        return np.asarray(_strengths(self._windows(length)[begins], frames).argmax(axis=1), np.intp)

    def _windows(self, length: int) -> Samples:
        """Every stretch of that length, without copying: shape ``[starts, length]``."""
        return np.lib.stride_tricks.sliding_window_view(self.samples, length)


def _octets(symbols: npt.NDArray[np.intp]) -> bytes:
    pairs = symbols.astype(np.uint8).reshape(-1, 2)
    return bytes((pairs[:, 0] << 4 | pairs[:, 1]).tolist())


def _strengths(windows: Samples, frames: int) -> Samples:
    """How strong each of the 18 frequencies is in each window, shape ``[windows, 18]``."""
    parts = windows @ _probes(windows.shape[1], frames)
    cosines, sines = np.split(parts, 2, axis=1)
    return np.asarray(np.hypot(cosines, sines), np.float32)


@lru_cache(maxsize=64)
def _probes(length: int, frames: int) -> Samples:
    """Correlators, cosines then sines, over ``length`` samples that last ``frames`` at 24 kHz."""
    angles = 2 * np.pi * np.outer(np.arange(length) / length, _cycles(frames))
    return np.hstack([np.cos(angles), np.sin(angles)]).astype(np.float32)
