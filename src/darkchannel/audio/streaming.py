"""Encoding while the audio is still being made: PCM in, and bytes of a file out as they come."""

from __future__ import annotations

from dataclasses import dataclass

from darkchannel.audio.ffmpeg import LOCAL_ONLY, filter_command

STREAM_RATE = 24_000
"""In Hz, of all formats: what OpenAI's clients expect of PCM, which does not say it."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """A format that can be sent before its end is known.

    Attributes:
        media_type: of the answer.
        arguments: FFmpeg's, of the output.
    """

    media_type: str
    arguments: tuple[str, ...]


# 96 kbps is as good as transparent for one voice at 24 kHz.  No Xing header: its place is at the
# beginning, and its numbers are known only at the end.
STREAM_FORMATS = {
    "mp3": StreamFormat(
        "audio/mpeg", ("-c:a", "libmp3lame", "-b:a", "96k", "-write_xing", "0", "-f", "mp3")
    ),
    "opus": StreamFormat("audio/ogg", ("-c:a", "libopus", "-b:a", "48k", "-f", "ogg")),
    "aac": StreamFormat("audio/aac", ("-c:a", "aac", "-b:a", "96k", "-f", "adts")),
    "flac": StreamFormat("audio/flac", ("-c:a", "flac", "-f", "flac")),
    "pcm": StreamFormat("audio/pcm", ("-c:a", "pcm_s16le", "-f", "s16le")),
}


def encoder_command(name: str, sample_rate: int) -> list[str]:
    """The command that turns samples on standard input into a file on standard output.

    Args:
        name: one of :data:`STREAM_FORMATS`.
        sample_rate: of the samples, in Hz; they are PCM 16 bit little-endian mono.

    Raises:
        AudioError: there is no FFmpeg.
    """
    # What comes is known, so nothing has to be read ahead to find out.
    probe = ["-probesize", "32", "-analyzeduration", "0", "-fflags", "nobuffer"]
    source = ["-f", "s16le", "-ar", str(sample_rate), "-ac", "1", *LOCAL_ONLY, "-i", "pipe:0"]
    # The first bytes are wanted before there is a block full of them.
    output = ["-ar", str(STREAM_RATE), "-flush_packets", "1", *STREAM_FORMATS[name].arguments]
    return filter_command([*probe, *source, *output, "pipe:1"])
