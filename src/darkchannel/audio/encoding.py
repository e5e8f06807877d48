"""The encoders: one FFmpeg process turns the stream of samples into all audio files at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from darkchannel.audio.ffmpeg import LOCAL_ONLY, run
from darkchannel.audio.loudness import Processing
from darkchannel.audio.metadata import Labels
from darkchannel.audio.mp3 import withdraw_contents
from darkchannel.audio.presets import Preset

AUDIO_FORMATS = ("mp3", "m4b")

MOST_LISTED = 255
"""Chapters that an ID3 table of contents or an MP4 chapter list can name: a byte counts them."""


def encode(
    blocks: Iterable[bytes | memoryview],
    sample_rate: int,
    outputs: Mapping[str, Path],
    *,
    labels: Labels,
    processing: Processing,
    preset: Preset,
) -> None:
    """Encode the book; existing files are overwritten.

    Args:
        blocks: all of its samples, PCM 16 bit little-endian mono.
        sample_rate: of the samples, in Hz.
        outputs: where to write each format, of :data:`AUDIO_FORMATS`.
        labels: title, language and chapters.
        processing: gain and limiter.
        preset: gives sample rate and bit rates.

    Raises:
        OutputError: there is no space left.
        AudioError: FFmpeg failed.
        Exception: whatever ``blocks`` raises.
    """
    pads = "".join(f"[{name}]" for name in outputs)
    filters = f"{processing.filters(preset.sample_rate)},asplit={len(outputs)}{pads}"
    arguments = ["-loglevel", "warning"]
    arguments += ["-f", "s16le", "-ar", str(sample_rate), "-ac", "1", *LOCAL_ONLY, "-i", "pipe:0"]
    arguments += ["-f", "ffmetadata", *LOCAL_ONLY, "-i", f"file:{labels.metadata}"]
    arguments += ["-filter_complex_threads", "1", "-filter_complex", f"[0:a]{filters}"]
    for name, path in outputs.items():
        arguments += ["-map", f"[{name}]", "-map_metadata", "1", "-map_chapters", "1"]
        arguments += _mp3(preset) if name == "mp3" else _m4b(preset, labels)
        arguments += [f"file:{path}"]
    run(arguments, blocks=blocks)
    if "mp3" in outputs and labels.chapters > MOST_LISTED:
        withdraw_contents(outputs["mp3"])


def _mp3(preset: Preset) -> list[str]:
    # LAME's own scale of effort: at 192 kbps for one channel there are bits enough without
    # noise shaping, so that level 7 has less error than the default 5 (SNR of speech 54 and
    # 48 dB) in two thirds of the time.  ID3v2.3 is what players that show chapters read.
    codec = ["-c:a", "libmp3lame", "-compression_level", "7", "-b:a", f"{preset.mp3_kbps}k"]
    return [*codec, "-id3v2_version", "3", "-write_xing", "1", "-f", "mp3"]


def _m4b(preset: Preset, labels: Labels) -> list[str]:
    # The fast coder halves the time and, for a single voice, the error too (SNR 29.8 against
    # 23.2 dB at 64 kbps).  media_type 2 is an audiobook's, as the brand is.
    codec = ["-c:a", "aac", "-aac_coder", "fast", "-b:a", f"{preset.aac_kbps}k"]
    tags = ["-metadata", "media_type=2", "-metadata:s:a:0", f"language={labels.language}"]
    # The chapter track holds any number; the list beside it would be cut at 255.
    flags = "+faststart" if labels.chapters <= MOST_LISTED else "+faststart+disable_chpl"
    return [*codec, *tags, "-f", "ipod", "-brand", "M4B ", "-movflags", flags]
