"""From takes to the finished files: two passes over the takes, then one over the result.

Takes flow through one FFmpeg process into the encoders; nothing of the book's length is ever in
memory or in a temporary WAV.  All files are made under temporary names and put in place when
the last of them is whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from darkchannel.audio.assembly import pcm_blocks
from darkchannel.audio.encoding import AUDIO_FORMATS, encode
from darkchannel.audio.loudness import Processing, measure_level, reach_target
from darkchannel.audio.measurement import Measured, measure
from darkchannel.audio.metadata import write_labels
from darkchannel.audio.presets import Preset
from darkchannel.audio.progress import Progress
from darkchannel.audio.report import build_report
from darkchannel.audio.subtitles import write_srt, write_vtt
from darkchannel.audio.timeline import Timeline, lay_out
from darkchannel.errors import AudioError, OutputError, SettingError
from darkchannel.models import Plan, Take

DURATION_TOLERANCE_SECONDS = 0.05

_LEVEL_SHARE, _ENCODE_SHARE = 0.1, 0.7  # of the whole work, where each pass ends


@dataclass(frozen=True, slots=True)
class MasteredBook:
    """The finished files.

    Attributes:
        duration_seconds: of the audio.
        files: path by format: ``mp3``, ``m4b``, ``srt``, ``vtt``, ``report``.
        report: what ``report.json`` says.
    """

    duration_seconds: float
    files: dict[str, Path]
    report: dict[str, Any]


def master(
    plan: Plan,
    takes: Sequence[Take],
    read_takes: Callable[[], Iterator[bytes]],
    directory: Path,
    *,
    title: str,
    comment: str | None = None,
    preset: Preset,
    formats: Sequence[str] = AUDIO_FORMATS,
    stem: str = "audiobook",
    on_progress: Callable[[float], None] | None = None,
) -> MasteredBook:
    """Make the book.

    Args:
        plan: what is said, with pauses and chapters.
        takes: facts about one take for each chunk, in order.
        read_takes: yields the WAV file of every take, in order; called once for each pass.
        directory: where the files go; made if it is not there.
        title: of the book.
        comment: a remark for the files' metadata.
        preset: the mastering target.
        formats: audio files to make, of ``mp3`` and ``m4b``; the MP3 is measured if there is one.
        stem: name of the files, up to the dot.
        on_progress: told the share of the work that is done, from 0 to 1, never less.

    Raises:
        MergeError: a take is missing or not what the facts say; names the chunk.
        SettingError: a format is unknown.
        OutputError: the directory cannot be written, or no space is left.
        AudioError: FFmpeg failed, or the whole book is silent.
        Exception: whatever ``read_takes`` or ``on_progress`` raise; no file is left then.
    """
    _check_names(formats, stem)
    timeline = lay_out(plan, takes, preset, title=title)
    progress = Progress(on_progress)
    language = Counter(chunk.language for chunk in plan.chunks).most_common(1)[0][0]

    def blocks(begin: float, end: float) -> Iterator[bytes | memoryview]:
        told = progress.stage(begin, end, timeline.frames)
        return pcm_blocks(timeline, takes, read_takes, told)

    with _workshop(directory) as folder:
        outputs = {name: folder / f"{stem}.{name}" for name in AUDIO_FORMATS if name in formats}
        with _writing(directory):
            labels = write_labels(
                folder / "metadata.txt", title, language, timeline.chapters, comment=comment
            )

        def attempt(processing: Processing) -> Measured:
            encode(
                blocks(_LEVEL_SHARE, _ENCODE_SHARE),
                timeline.sample_rate,
                outputs,
                labels=labels,
                processing=processing,
                preset=preset,
            )
            told = progress.stage(_ENCODE_SHARE, 1, timeline.seconds)
            return _verify(next(iter(outputs.values())), timeline, told)

        level = measure_level(blocks(0, _LEVEL_SHARE), timeline.sample_rate, preset)
        report = build_report(reach_target(preset, level, attempt), preset, timeline, level)
        with _writing(directory):
            texts = _write_texts(folder, stem, timeline, report)
            files = _publish({**outputs, **texts}, directory)
    progress.reach(1.0)
    return MasteredBook(timeline.seconds, files, report)


def _check_names(formats: Sequence[str], stem: str) -> None:
    unknown = [name for name in formats if name not in AUDIO_FORMATS]
    if unknown or not formats:
        raise SettingError(
            f"unknown audio format {', '.join(unknown) or '(none)'}: "
            f"expected one or more of {', '.join(AUDIO_FORMATS)}"
        )
    if not stem or stem.startswith(".") or Path(stem).name != stem or "\0" in stem:
        raise OutputError(f"{stem!r} cannot be the name of a file")


@contextlib.contextmanager
def _workshop(directory: Path) -> Iterator[Path]:
    """A temporary folder beside the results, so that putting them in place is a rename."""
    with _writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(
            prefix=".mastering-", dir=directory, ignore_cleanup_errors=True
        )
    with folder as name:
        yield Path(name)


@contextlib.contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            remedy = "free some space or write to another place"
            raise OutputError(f"no space is left in {directory}", remedy=remedy) from error
        raise OutputError(f"cannot write to {directory}: {error.strerror}") from error


def _verify(path: Path, timeline: Timeline, told: Callable[[float], None]) -> Measured:
    measured = measure(path, on_seconds=told)
    if abs(measured.duration_seconds - timeline.seconds) > DURATION_TOLERANCE_SECONDS:
        raise AudioError(
            f"expected {timeline.seconds:.2f} s of audio in {path.name}, "
            f"found {measured.duration_seconds:.2f} s"
        )
    return measured


def _write_texts(
    folder: Path, stem: str, timeline: Timeline, report: dict[str, Any]
) -> dict[str, Path]:
    files = {
        "srt": folder / f"{stem}.srt",
        "vtt": folder / f"{stem}.vtt",
        "report": folder / "report.json",
    }
    write_srt(timeline.cues, files["srt"])
    write_vtt(timeline.cues, files["vtt"])
    text = json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False)
    files["report"].write_text(text + "\n", encoding="utf-8", errors="replace")
    return files


def _publish(made: dict[str, Path], directory: Path) -> dict[str, Path]:
    """Put whole files, safely on disk, under their final names; the report comes last."""
    for path in made.values():
        _sync(path)
    files = {name: directory / path.name for name, path in made.items()}
    for name, path in made.items():
        path.replace(files[name])
    _sync(directory)
    return files


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
