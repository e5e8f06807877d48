"""What a user of kokoro-onnx writes: read sentences one after the other, then make an MP3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from kokoro_onnx import Kokoro

from darkchannel.audio.ffmpeg import find_ffmpeg


def main(weights: str, voices: str, voice: str, sentences: str, output: str) -> None:
    """Read a file of one sentence a line to an MP3."""
    kokoro = Kokoro(weights, voices)
    parts = []
    rate = 24_000
    for sentence in Path(sentences).read_text(encoding="utf-8").splitlines():
        samples, rate = kokoro.create(sentence, voice=voice, speed=1.0, lang="pt-br")
        parts.append(samples)
    pcm = np.concatenate(parts).astype("<f4").tobytes()
    source = ["-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "-"]
    encode = ["-ar", "44100", "-b:a", "192k", "-y", output]
    subprocess.run([find_ffmpeg(), "-v", "error", *source, *encode], input=pcm, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
