"""This machine and its store: serve, doctor, voices, and the same things from Python."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.wav import decode_wav
from darkchannel.config import StoreConfig
from darkchannel.speech.kokoro.runtime import usable
from darkchannel.speech.tone import decode_tones
from tests.cli.conftest import Run
from tests.speech.real_kokoro import settings


def test_another_program_can_use_the_store(
    run: Run, environment: dict[str, str], shared_store: StoreConfig
) -> None:
    """Store serve prints an environment with which the store can be used, and ends on Ctrl-C."""
    server = subprocess.Popen(
        [sys.executable, "-m", "darkchannel", "store", "serve"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    printed = {}
    for line in server.stdout:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        printed[name] = value
        if name == "MINIO_REGION":
            break
    assert printed["MINIO_ENDPOINT"] == shared_store.endpoint
    assert run("store", "check", env=printed).returncode == 0
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=20)
    assert server.returncode == 0


def test_serving_is_refused_where_another_store_is_set(run: Run) -> None:
    """Store serve says that MINIO_ENDPOINT names another store."""
    elsewhere = {
        "MINIO_ENDPOINT": "http://127.0.0.1:1",
        "MINIO_ACCESS_KEY": "a",
        "MINIO_SECRET_KEY": "b",
    }
    done = run("store", "serve", env=elsewhere)
    assert done.returncode == 2
    assert "MINIO_ENDPOINT" in done.stderr


def test_doctor_names_what_is_missing_and_the_cure(run: Run, tmp_path: Path) -> None:
    """Without weights the doctor fails, and says how to get them."""
    done = run("doctor", env={"DARKCHANNEL_DATA_DIR": str(tmp_path / "new")})
    assert done.returncode == 1
    assert "FAIL kokoro" in done.stdout
    assert "darkchannel models fetch" in done.stdout
    names = {
        check["name"]
        for check in json.loads(
            run("doctor", "--json", env={"DARKCHANNEL_DATA_DIR": str(tmp_path / "new")}).stdout
        )
    }
    assert names == {"python", "data directory", "ffmpeg", "kokoro", "store"}


@pytest.mark.acceptance
def test_doctor_measures_the_runtimes(run: Run) -> None:
    """With --measure it says how much speech a second each makes that can be used."""
    machine = {"DARKCHANNEL_DATA_DIR": str(settings().data_dir)}
    done = run("doctor", "--measure", "--json", env=machine)
    speeds = [check for check in json.loads(done.stdout) if "speed" in check["name"]]
    runtimes = {check["name"].split(", ")[1] for check in speeds}
    assert runtimes == set(usable())
    assert all(float(check["detail"].split()[0]) > 0 for check in speeds)


def test_an_unknown_runtime_is_refused(run: Run) -> None:
    """A misspelt one is an error that lists the choices, before anything is done."""
    done = run("render", "-", stdin="Olá.", env={"DARKCHANNEL_KOKORO_RUNTIME": "float23"})
    assert done.returncode == 2
    assert "float32, onnxruntime" in done.stderr


def test_voices_can_be_heard(run: Run, tmp_path: Path) -> None:
    """Voices --sample renders a sentence with each voice."""
    done = run("voices", "--engine", "tone", "--language", "pt", "--sample")
    assert done.returncode == 0, done.stderr
    samples = sorted((tmp_path / "voice-samples").glob("*.wav"))
    assert samples
    audio, rate = decode_wav(samples[0].read_bytes())
    assert decode_tones((audio / 32768).astype(np.float32), rate)[0].startswith("Boa noite.")


def test_the_same_from_python(
    environment: dict[str, str], shared_store: StoreConfig, tmp_path: Path
) -> None:
    """render, MinIOClient and JobManager are all a program needs."""
    (tmp_path / "a.txt").write_text("Uma frase de Python.", encoding="utf-8")
    program = """
from darkchannel import JobManager, MinIOClient, render

if __name__ == "__main__":
    result = render("a.txt", "a.mp3", engine="tone")
    client = MinIOClient()
    jobs = JobManager(client)
    assert jobs.get_job_metadata(result.job_id)["status"] == "completed"
    job_id = jobs.create_job("Capítulo", "Olá.")
    jobs.update_job_status(job_id, "failed", error="só um teste")
    client.upload_file("a.mp3", "darkchannel-temp", "copy.mp3")
    client.download_file("darkchannel-temp", "copy.mp3", "b.mp3")
    print(client.generate_presigned_url("darkchannel-temp", "copy.mp3", expiration=60))
"""
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environment
        | {
            "MINIO_ENDPOINT": shared_store.endpoint,
            "MINIO_ACCESS_KEY": shared_store.credentials.access_key,
            "MINIO_SECRET_KEY": shared_store.credentials.secret_key,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(shared_store.endpoint)
    assert (tmp_path / "a.mp3").read_bytes() == (tmp_path / "b.mp3").read_bytes()


@pytest.mark.parametrize("name", ["nonsense", "Production"])
def test_names_that_are_not_public(name: str) -> None:
    """The package gives its public names, and says so of any other."""
    import darkchannel

    with pytest.raises(AttributeError, match=name):
        getattr(darkchannel, name)
