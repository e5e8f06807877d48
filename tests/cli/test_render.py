"""``darkchannel render`` and ``plan``, as a process, on the tone engine and a real store."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from darkchannel.config import StoreConfig
from darkchannel.storage import MinIOClient
from tests.cli.conftest import Run

TEXT = "# Um\n\nO farol acendeu às sete. — Chegou a hora — disse Clara.\n\nE partiram.\n"
TONE = ("--engine", "tone")


@pytest.fixture(autouse=True)
def _store(shared_store: StoreConfig) -> None:
    """Every test here shares one running store."""


def write(folder: Path, text: str | bytes, name: str = "chapter.txt") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_renders_beside_you(run: Run, tmp_path: Path) -> None:
    """The MP3 and its siblings are named after the input and lie in the current folder."""
    done = run("render", write(tmp_path, TEXT), *TONE)
    assert done.returncode == 0, done.stderr
    for suffix in (".mp3", ".m4b", ".srt", ".vtt", ".report.json"):
        assert (tmp_path / f"chapter{suffix}").stat().st_size > 0
    assert "Um" in done.stdout
    assert "passes ACX" in done.stdout


def test_json_is_all_there_is_on_stdout(run: Run, tmp_path: Path) -> None:
    """--json prints one object with the contracted fields; progress goes to stderr."""
    source = write(tmp_path, TEXT + "Só desta vez.")
    done = run("render", source, *TONE, "--json", "-o", "out.mp3")
    result = json.loads(done.stdout)
    assert set(result) == {
        "success",
        "job_id",
        "status",
        "download_url",
        "expires_in",
        "output_key",
        "chunks_total",
        "chunks_rendered",
        "chunks_reused",
        "duration_seconds",
        "render_seconds",
        "files",
    }
    assert result["success"] is True
    assert result["download_url"] is None
    assert result["files"]["mp3"] == "out.mp3"
    assert "rendering" in done.stderr


def test_quiet_says_nothing_on_stderr(run: Run, tmp_path: Path) -> None:
    """--quiet leaves only the result."""
    done = run("render", write(tmp_path, TEXT), *TONE, "--quiet")
    assert done.stderr == ""
    assert done.returncode == 0


def test_reads_standard_input(run: Run, tmp_path: Path) -> None:
    """A dash reads the text from standard input."""
    done = run("render", "-", *TONE, "-o", "piped.mp3", stdin=TEXT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "piped.mp3").exists()


def test_a_second_run_renders_nothing(run: Run, tmp_path: Path) -> None:
    """The same command again reuses the finished job."""
    source = write(tmp_path, TEXT + "De novo.")
    run("render", source, *TONE)
    again = json.loads(run("render", source, *TONE, "--json").stdout)
    assert again["chunks_rendered"] == 0


BAD_INPUT = {
    "empty": b"",
    "whitespace": b" \n\t \n",
    "punctuation": "... — !\n".encode(),
    "binary": b"\x89PNG\r\n\x1a\n\x00\x00",
    "nul": b"Ol\x00a.",
    "latin-1": "Coração.".encode("latin-1"),
    "unclosed": b"<speak><p>Oi",
    "bomb": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    b"<speak>&b;</speak>",
    "dtd": b'<!DOCTYPE speak SYSTEM "http://127.0.0.1:1/x.dtd"><speak>Oi</speak>',
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_clear_line(run: Run, tmp_path: Path, name: str) -> None:
    """Input that cannot be read ends with code 2 and one line that says why, at once.

    Nothing is fetched and no store is started for it: nothing is made where they would be kept.
    """
    suffix = ".ssml" if name in {"unclosed", "bomb", "dtd"} else ".txt"
    fresh = tmp_path / "fresh"
    env = {"DARKCHANNEL_DATA_DIR": str(fresh)}
    done = run("render", write(tmp_path, BAD_INPUT[name], f"bad{suffix}"), env=env)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert not list(tmp_path.glob("*.mp3"))
    assert not fresh.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--voice", "tone-z9"], "tone-"),
        (["--language", "xx-YY"], "xx-YY"),
        (["--speed", "0"], "speed"),
        (["--speed", "1000"], "speed"),
        (["--speed", "nan"], "speed"),
        (["--engine", "kokolo"], "kokoro"),
        (["--preset", "axc"], "acx"),
        (["--job-id", "../../etc"], "job"),
        (["--job-id", "a/b"], "job"),
        (["-o", "missing/out.mp3"], "missing"),
        (["--encoding", "klingon"], "klingon"),
        (["--encoding", "hex"], "hex"),
    ],
)
def test_bad_options_are_one_clear_line(
    run: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """An option that cannot be used ends with code 2, naming it and the choices."""
    engine = () if "--engine" in arguments else TONE
    done = run("render", write(tmp_path, TEXT), *engine, *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--speed", "9"],
        ["--preset", "axc"],
        ["--encoding", "hex"],
        ["--job-id", "/"],
        ["-o", "missing/out.mp3"],
    ],
)
def test_bad_options_are_refused_before_anything_is_fetched(
    run: Run, tmp_path: Path, arguments: list[str]
) -> None:
    """Nobody waits for 92 MB of weights, or a store, to hear of a slip of the keys."""
    fresh = tmp_path / "fresh"
    env = {"DARKCHANNEL_DATA_DIR": str(fresh)}
    done = run("render", write(tmp_path, TEXT), *arguments, env=env)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not fresh.exists()


def test_failure_as_json(run: Run, tmp_path: Path) -> None:
    """With --json a failure is one object on stdout too."""
    done = run("render", write(tmp_path, ""), *TONE, "--json")
    failure = json.loads(done.stdout)
    assert failure["success"] is False
    assert failure["job_id"] is None
    assert failure["error"]["type"] == "ScriptError"
    assert set(failure["error"]) == {"type", "message", "chunk"}
    assert done.returncode == 2


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    """--debug, and only --debug, shows where an error was raised."""
    done = run("render", write(tmp_path, ""), *TONE, "--debug")
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "uma frase sem fim " * 60_000,
        unicodedata.normalize("NFD", "Ação, coração e amanhã."),
        "Feliz 😀 aniversário! 🎂",
        "Quebra\x0cde página.",
    ],
    ids=["one long line", "nfd", "emoji", "form feed"],
)
def test_odd_input_is_read_all_the_same(run: Run, tmp_path: Path, text: str) -> None:
    """Odd but readable text is planned, and no letter of it is lost."""
    done = run("plan", write(tmp_path, text), *TONE, "--json")
    assert done.returncode == 0, done.stderr
    spoken = "".join(chunk["spoken"] for chunk in json.loads(done.stdout)["chunks"])
    assert letters(spoken) == letters(text)


def letters(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", text) if c.isalnum())


def test_latin_1_on_request(run: Run, tmp_path: Path) -> None:
    """Another encoding is read when it is named."""
    source = write(tmp_path, "Coração.".encode("latin-1"))
    done = run("plan", source, *TONE, "--encoding", "latin-1", "--json")
    assert json.loads(done.stdout)["chunks"][0]["spoken"] == "Coração."


def test_strict_refuses_what_would_be_warned_about(run: Run, tmp_path: Path) -> None:
    """An unknown tag is spoken with a warning, and refused with --strict."""
    source = write(tmp_path, "<speak><blink>Oi, mundo.</blink></speak>", "odd.ssml")
    lenient = run("plan", source, *TONE)
    assert lenient.returncode == 0
    assert "warning: line 1" in lenient.stderr
    assert run("plan", source, *TONE, "--strict").returncode == 2


def test_plan_json_has_the_contracted_shape(run: Run, tmp_path: Path) -> None:
    """Plan --json maps every character of the input to a chunk or a reason."""
    done = run("plan", write(tmp_path, TEXT), *TONE, "--json")
    plan = json.loads(done.stdout)
    assert {"chunks", "warnings", "unspoken", "estimated_seconds"} <= set(plan)
    first = plan["chunks"][0]
    assert {"index", "text", "spoken", "voice", "span", "pause_after_seconds"} <= set(first)
    covered = [
        span for chunk in plan["chunks"] for part in chunk["utterances"] for span in part["spans"]
    ] + [unspoken["span"] for unspoken in plan["unspoken"]]
    covered.sort()
    assert covered[0][0] == 0
    assert covered[-1][1] == len(TEXT)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(covered))


def ends(group: int) -> bool:
    """Whether every process of a group is gone, given a moment for the last one."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(signal.SIGINT, id="ctrl-c"),
        # The same way from the signal on.
        pytest.param(signal.SIGTERM, id="sigterm", marks=pytest.mark.acceptance),
    ],
)
def test_a_signal_stops_cleanly_and_the_next_run_resumes(
    run: Run,
    environment: dict[str, str],
    shared_store: StoreConfig,
    tmp_path: Path,
    stop: signal.Signals,
) -> None:
    """Ctrl-C (and SIGTERM) end with code 3 and no process left; the same command goes on."""
    text = "\n\n".join(f"Frase {number} sob sinal {stop}." for number in range(150))
    source = write(tmp_path, text)
    job_id = f"signal-{stop}"
    command = ("render", source, *TONE, "--json", "--job-id", job_id)
    process = subprocess.Popen(
        [sys.executable, "-m", "darkchannel", *command],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    client = MinIOClient(shared_store)
    while next(client.list(shared_store.buckets.jobs, f"{job_id}/chunks/"), None) is None:
        assert process.poll() is None
        time.sleep(0.1)
    os.killpg(process.pid, stop)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 3
    assert json.loads(out)["error"]["type"] == "Cancelled"
    assert ends(process.pid)
    result = json.loads(run(*command).stdout)
    assert result["chunks_total"] == 150
    assert result["chunks_reused"] > 0
