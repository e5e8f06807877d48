"""Books made from takes, and listened to."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.audio.mastering import MasteredBook, master
from darkchannel.audio.presets import ACX, PODCAST, R128, Preset
from darkchannel.errors import AudioError, MergeError, OutputError, SettingError
from darkchannel.models import ChapterMark
from tests.audio.id3 import read_tag
from tests.audio.material import Material, Samples, decode, material, peaky, sine, speech_like
from tests.audio.test_subtitles import read_srt, read_vtt

TITLES = ['Capítulo um; "A volta"', "Dois = três # quatro \\ cinco", "Farol 🚀\nà noite", "x" * 400]
NAMES = ["audiobook.m4b", "audiobook.mp3", "audiobook.srt", "audiobook.vtt", "report.json"]


def make(book: Material, folder: Path, preset: Preset = ACX, **options: object) -> MasteredBook:
    """Master a book under the title Livro, or another."""
    given = {"title": "Livro", "preset": preset, **options}
    return master(book.plan, book.takes, book.read, folder, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def speech() -> Material:
    """Twelve takes like speech, in four chapters with hostile titles."""
    return material(
        [speech_like(1.5 + 0.2 * (n % 4), seed=n) for n in range(12)],
        pauses=[0.3, 0.6, 2.0] * 4,
        chapters=[ChapterMark(title, 1 + 3 * n) for n, title in enumerate(TITLES)],
        texts=[("Primeira frase & mais.", "Segunda <frase>.")] * 12,
    )


@pytest.fixture(scope="module")
def mastered(speech: Material, tmp_path_factory: pytest.TempPathFactory) -> MasteredBook:
    """The book of these takes."""
    return make(speech, tmp_path_factory.mktemp("book"), title='O "farol"; = #1 \\ 🚀')


def listing(path: Path) -> list[tuple[float, float, str]]:
    """Chapters of a file: start and end in seconds, and title."""
    if path.suffix == ".mp3":
        return [(c.start / 1000, c.end / 1000, c.title) for c in read_tag(path).chapters]
    command = [find_ffmpeg(), "-v", "error", "-i", str(path), "-f", "ffmetadata", "-"]
    text = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    chapters = []
    for part in text.split("[CHAPTER]\n")[1:]:
        fields = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        base = int(fields["TIMEBASE"].removeprefix("1/"))
        title = re.sub(r"\\(.)", r"\1", fields["title"])
        chapters.append((int(fields["START"]) / base, int(fields["END"]) / base, title))
    return chapters


def bounds(sound: Samples, threshold: float = 0.02) -> list[tuple[float, float]]:
    """Start and end in seconds of each silence of at least 0.1 s, between sounds."""
    loud = np.flatnonzero(np.abs(sound) > threshold)
    gaps = np.flatnonzero(np.diff(loud) > 4410)
    return [(loud[at] / 44_100, loud[at + 1] / 44_100) for at in gaps]


def test_all_files_are_there(mastered: MasteredBook) -> None:
    """Five files under their final names, and nothing else beside them."""
    folder = mastered.files["mp3"].parent
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert sorted(path.name for path in mastered.files.values()) == NAMES
    assert json.loads(mastered.files["report"].read_text()) == mastered.report


def test_the_default_preset_passes_acx(mastered: MasteredBook) -> None:
    """What the encoded MP3 measures is what ACX asks for."""
    report = mastered.report
    assert report["acx"]["pass"], [c for c in report["acx"]["checks"] if not c["pass"]]
    assert report["target_met"]
    assert report["measured"]["true_peak_dbtp"] <= -3
    assert report["preset"] == "acx"


def test_an_ear_of_our_own_agrees(mastered: MasteredBook) -> None:
    """RMS, peak and noise floor of the report are those of the decoded file."""
    heard = decode(mastered.files["mp3"]).astype(np.float64)
    measured = mastered.report["measured"]
    assert measured["rms_db"] == pytest.approx(10 * np.log10(np.mean(heard**2)), abs=0.02)
    assert measured["sample_peak_db"] == pytest.approx(20 * np.log10(abs(heard).max()), abs=0.02)
    assert measured["noise_floor_db"] < -60


@pytest.mark.parametrize("name", ["mp3", "m4b"])
def test_the_length_is_that_of_the_timeline(mastered: MasteredBook, name: str) -> None:
    """Neither encoder adds or loses time."""
    heard = len(decode(mastered.files[name])) / 44_100
    assert heard == pytest.approx(mastered.duration_seconds, abs=0.05)
    assert mastered.report["duration_seconds"] == pytest.approx(heard, abs=0.05)


@pytest.mark.parametrize("name", ["mp3", "m4b"])
def test_pauses_are_exact(tmp_path: Path, name: str) -> None:
    """Between the sounds of the decoded file lie the plan's pauses, to 20 ms, where they belong."""
    pauses = [0.25, 0.6, 1.234, 2.0, 3.0]
    book = material([sine(1.0), sine(1.3), sine(0.7), sine(1.1), sine(0.9)], pauses=pauses)
    made = make(book, tmp_path, formats=(name,))
    found = bounds(decode(made.files[name]))
    assert [end - start for start, end in found] == pytest.approx(pauses[:-1], abs=0.02)
    ends, at = [], ACX.head_seconds
    for take, pause in zip(book.takes, pauses, strict=True):
        ends.append(at + take.seconds)
        at += take.seconds + pause
    assert [start for start, _ in found] == pytest.approx(ends[:-1], abs=0.02)


@pytest.mark.parametrize("name", ["mp3", "m4b"])
def test_chapters(mastered: MasteredBook, speech: Material, name: str) -> None:
    """Chapters begin with their first take, and titles survive whatever is in them."""
    chapters = listing(mastered.files[name])
    expected = mastered.report["chapters"]
    assert [c[0] for c in chapters] == pytest.approx(
        [e["start_seconds"] for e in expected], abs=0.002
    )
    assert [c[1] for c in chapters] == pytest.approx([e["end_seconds"] for e in expected], abs=0.05)
    quiet = bounds(decode(mastered.files[name]), 0.004)
    for start, _, _ in chapters[1:]:
        assert min(abs(start - end) for _, end in quiet) < 0.05
    assert chapters[0][2] == TITLES[0]
    assert chapters[2][2] == "Farol 🚀 à noite"


def test_the_tag_of_the_mp3(mastered: MasteredBook) -> None:
    """Title, genre, language and chapters stand in the ID3 tag itself."""
    tag = read_tag(mastered.files["mp3"])
    assert tag.texts["TIT2"] == tag.texts["TALB"] == 'O "farol"; = #1 \\ 🚀'
    assert tag.texts["TCON"] == "Audiobook"
    assert tag.texts["TLAN"] == "por"
    assert [chapter.title for chapter in tag.chapters[:3]] == [
        TITLES[0],
        TITLES[1],
        "Farol 🚀 à noite",
    ]
    assert tag.contents == [chapter.element for chapter in tag.chapters]
    assert all(a.end == b.start for a, b in zip(tag.chapters, tag.chapters[1:], strict=False))


def test_the_m4b_is_an_audiobook(mastered: MasteredBook) -> None:
    """Brand and media type say audiobook, and the index stands before the audio."""
    data = mastered.files["m4b"].read_bytes()
    assert data[4:12] == b"ftypM4B "
    assert data.index(b"moov") < data.index(b"mdat")
    stik = data.index(b"stik")
    assert data[stik + 20] == 2


def test_subtitles_are_heard_where_they_are_shown(mastered: MasteredBook, speech: Material) -> None:
    """Both files show every sentence in order, each take's first when its sound begins."""
    srt, vtt = read_srt(mastered.files["srt"]), read_vtt(mastered.files["vtt"])
    said = [u.text for chunk in speech.plan.chunks for u in chunk.utterances]
    assert [" ".join(lines) for _, _, lines in srt] == said
    assert srt == vtt
    sounds = [end for _, end in bounds(decode(mastered.files["mp3"]), 0.004)]
    assert len(sounds) >= 11
    for start, _, _ in srt[2::2]:
        assert min(abs(start / 1000 - sound) for sound in sounds) < 0.05


@pytest.mark.parametrize("preset", [ACX, R128, PODCAST], ids=lambda preset: preset.name)
@pytest.mark.parametrize(
    "sounds",
    [
        [speech_like(3, 0.004, n) for n in range(4)],
        [speech_like(3, 1.0, n) for n in range(4)],
        [peaky(3, n) for n in range(4)],
    ],
    ids=["quiet", "loud", "peaky"],
)
def test_targets_are_met(tmp_path: Path, sounds: list[Samples], preset: Preset) -> None:
    """Whatever the takes are like, level and true peak of the encoded file are the preset's."""
    made = make(material(sounds), tmp_path, preset, formats=("mp3",))
    measured = made.report["measured"]
    level = measured["rms_db" if preset.unit == "rms" else "integrated_lufs"]
    assert level == pytest.approx(preset.target, abs=preset.tolerance)
    assert measured["true_peak_dbtp"] <= preset.peak_ceiling
    assert made.report["target_met"]
    assert made.report["encodings"] <= 3
    if preset is R128:
        assert made.report["r128"]["pass"]
    if preset is ACX:
        assert made.report["acx"]["pass"]


def test_one_gain_for_the_whole_book(tmp_path: Path) -> None:
    """A soft take stays as much softer than a loud one as it was."""
    book = material([sine(2, 0.2), sine(2, 0.02)], pauses=[0.5, 0.5])
    heard = decode(make(book, tmp_path, formats=("mp3",)).files["mp3"])
    loud = heard[int(1.5 * 44_100) : int(2.0 * 44_100)]
    soft = heard[int(4.0 * 44_100) : int(4.5 * 44_100)]
    ratio = np.sqrt(np.mean(loud**2) / np.mean(soft**2))
    assert 20 * np.log10(ratio) == pytest.approx(20, abs=0.3)


def test_a_silent_book_is_refused(tmp_path: Path) -> None:
    """No gain makes speech of silence, and no files are left."""
    with pytest.raises(AudioError, match="silent"):
        make(material([np.zeros(24_000, np.float32)] * 3), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("formats", [("mp3",), ("m4b",), ("m4b", "mp3")])
def test_formats(tmp_path: Path, formats: tuple[str, ...]) -> None:
    """Only the formats asked for are made; the MP3 is what is measured where there is one."""
    made = make(material([speech_like(2)]), tmp_path, formats=formats, stem="livro")
    assert set(made.files) == {*formats, "srt", "vtt", "report"}
    assert made.report["measured"]["codec"] == ("mp3" if "mp3" in formats else "aac")
    assert made.files["srt"].name == "livro.srt"


@pytest.mark.parametrize("formats", [(), ("wav",), ("mp3", "MP3")])
def test_unknown_formats_are_refused(tmp_path: Path, formats: tuple[str, ...]) -> None:
    """The error lists what there is."""
    with pytest.raises(SettingError, match="mp3, m4b"):
        make(material([sine(1)]), tmp_path, formats=formats)


@pytest.mark.parametrize("stem", ["", "../book", "a/b", ".hidden", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, stem: str) -> None:
    """Files are written into the directory and nowhere else."""
    with pytest.raises(OutputError):
        make(material([sine(1)]), tmp_path, stem=stem)


@pytest.mark.parametrize("name", ["-livro", "a:b", "50% pronto", "ção 🚀", "a'b\"c"])
def test_odd_names_are_only_names(tmp_path: Path, name: str) -> None:
    """Neither folder nor file name is taken for an option or an address."""
    folder = tmp_path / name
    made = make(material([speech_like(1)]), folder, stem=name)
    assert made.files["mp3"] == folder / f"{name}.mp3"
    assert all(path.exists() for path in made.files.values())


def test_progress_grows_to_the_end(speech: Material, tmp_path: Path) -> None:
    """The share of the work grows without a step back, and ends at 1."""
    told: list[float] = []
    make(speech, tmp_path, on_progress=told.append)
    assert told == sorted(set(told))
    assert told[0] > 0
    assert told[-1] == 1
    assert len(told) > 24


def test_a_book_replaces_the_one_before(tmp_path: Path) -> None:
    """A second run puts its files in the place of the first's."""
    make(material([speech_like(1)]), tmp_path)
    made = make(material([speech_like(3)]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    assert len(decode(made.files["mp3"])) / 44_100 == pytest.approx(made.duration_seconds, abs=0.05)


def test_takes_at_the_encoders_own_rate(tmp_path: Path) -> None:
    """Takes need not be at 24 kHz."""
    sounds = [speech_like(1), speech_like(1.5)]
    made = make(material(sounds, pauses=[0.5, 0.5], rate=44_100), tmp_path)
    expected = sum(map(len, sounds)) / 44_100 + 0.5 + ACX.head_seconds + ACX.tail_seconds
    assert made.duration_seconds == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize("count", [255, 1000])
def test_many_chapters(tmp_path: Path, count: int) -> None:
    """All of them are in both files, in order, under their own titles, and no list is cut."""
    book = material(
        [sine(0.03)] * count,
        pauses=[0.01] * count,
        chapters=[ChapterMark(f"Capítulo {n}", n) for n in range(1, count + 1)],
    )
    made = make(book, tmp_path)
    for name in ("mp3", "m4b"):
        chapters = listing(made.files[name])
        assert [title for _, _, title in chapters] == [f"Capítulo {n}" for n in range(1, count + 1)]
        expected = ACX.head_seconds + (count - 1) * 0.04
        assert chapters[-1][0] == pytest.approx(expected, abs=0.002)
    listed = count if count <= 255 else 0
    assert len(read_tag(made.files["mp3"]).contents) == listed
    assert (b"chpl" in made.files["m4b"].read_bytes()) == bool(listed)


def changed(wavs: list[bytes], at: int, to: bytes) -> list[bytes]:
    """The takes with one of them replaced."""
    return [*wavs[:at], to, *wavs[at + 1 :]]


def test_takes_that_changed_are_named(speech: Material, tmp_path: Path) -> None:
    """A take whose bytes are not those that were rendered never enters a book."""
    for data in (b"garbage", speech.wavs[4][:-10], speech.wavs[5], speech.wavs[4] + b"x"):
        book = replace(speech, wavs=changed(speech.wavs, 4, data))
        with pytest.raises(MergeError) as caught:
            make(book, tmp_path)
        assert caught.value.chunk == 5
    assert list(tmp_path.iterdir()) == []


def test_facts_that_do_not_fit_the_bytes_are_named(speech: Material, tmp_path: Path) -> None:
    """Neither does one of another length than its facts say."""
    takes = [replace(take, frames=take.frames + 1) for take in speech.takes]
    with pytest.raises(MergeError, match="samples") as caught:
        make(replace(speech, takes=takes), tmp_path)
    assert caught.value.chunk == 1


@pytest.mark.parametrize(("count", "chunk"), [(7, 8), (0, 1), (13, None)])
def test_another_number_of_files(
    speech: Material, tmp_path: Path, count: int, chunk: int | None
) -> None:
    """Fewer or more files than takes are refused before anything is published."""
    wavs = (speech.wavs * 2)[:count]
    with pytest.raises(MergeError) as caught:
        make(replace(speech, wavs=wavs), tmp_path)
    assert caught.value.chunk == chunk
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_process_left")
@pytest.mark.parametrize("failing_pass", [1, 2])
@pytest.mark.parametrize("kind", [ConnectionError, KeyboardInterrupt, OSError])
def test_a_store_that_fails_midway(
    speech: Material, tmp_path: Path, failing_pass: int, kind: type[BaseException]
) -> None:
    """Its own error goes on unchanged; no file and no process are left."""
    passes = 0
    closed = []

    def read() -> Iterator[bytes]:
        nonlocal passes
        passes += 1
        try:
            yield from speech.wavs[:8]
            if passes == failing_pass:
                raise kind("the store is gone")
            yield from speech.wavs[8:]
        finally:
            closed.append(passes)

    with pytest.raises(kind, match="the store is gone"):
        master(speech.plan, speech.takes, read, tmp_path, title="Livro", preset=ACX)
    assert passes == failing_pass
    assert closed == list(range(1, failing_pass + 1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_process_left")
def test_cancelling_from_progress(speech: Material, tmp_path: Path) -> None:
    """What the listener raises stops the work, and leaves nothing."""

    def tell(share: float) -> None:
        if share > 0.4:
            raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError, match="cancelled"):
        make(speech, tmp_path, on_progress=tell)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_book_before_untouched(speech: Material, tmp_path: Path) -> None:
    """A second run that fails does not harm what the first one made."""
    made = make(speech, tmp_path)
    before = {name: path.read_bytes() for name, path in made.files.items()}
    with pytest.raises(MergeError):
        make(replace(speech, wavs=speech.wavs[:3]), tmp_path)
    assert {name: path.read_bytes() for name, path in made.files.items()} == before


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where the directory should be is an error of one sentence."""
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        make(material([sine(1)]), place / "book")
