"""Masters a book of a given length in a process of its own, to be measured or killed.

Usage: ``python -m tests.audio.bookmaker DIRECTORY SECONDS [DELAY]``, the delay being seconds
that the store takes for each take.  Prints the peak resident memory in bytes of the process
itself and of FFmpeg, the latter sampled ten times a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from darkchannel.audio.mastering import master
from darkchannel.audio.presets import ACX
from darkchannel.audio.wav import encode_wav
from tests.audio.material import RATE, material, sine, speech_like

TAKE_SECONDS = 10


def main(directory: Path, seconds: float, delay: float) -> None:
    """Master takes of ten seconds, each a copy of its own."""
    wav = encode_wav(speech_like(TAKE_SECONDS), RATE)
    sha = hashlib.sha256(wav).hexdigest()
    book = material([sine(0.001)] * round(seconds / TAKE_SECONDS))
    takes = [replace(take, frames=TAKE_SECONDS * RATE, sha256=sha) for take in book.takes]

    def read() -> Iterator[bytes]:
        for _ in takes:
            time.sleep(delay)
            yield bytes(bytearray(wav))

    encoders = [0]
    threading.Thread(target=watch, args=(encoders,), daemon=True).start()
    master(book.plan, takes, read, directory, title="Livro", preset=ACX)
    print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    print(max(encoders))


def watch(seen: list[int]) -> None:
    """Keep the largest resident memory of any child."""
    while True:
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.Error):
                if "ffmpeg" in child.name():
                    seen[0] = max(seen[0], child.memory_info().rss)
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
