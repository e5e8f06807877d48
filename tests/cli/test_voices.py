"""``darkchannel voices``: of the engines, and of recordings, as a process on a real store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from darkchannel.audio.wav import encode_wav
from darkchannel.config import StoreConfig
from darkchannel.engines import fetch_weights
from tests.cli.conftest import Run
from tests.speech.openvoice.seeded import RATE, SMALL, voiced
from tests.speech.real_kokoro import settings


@pytest.fixture
def model(data_dir: Path, shared_store: StoreConfig) -> Iterator[Path]:
    """The small converter where the real one belongs."""
    folder = data_dir / "models" / "openvoice"
    shutil.copytree(SMALL, folder, dirs_exist_ok=True)
    yield folder
    shutil.rmtree(folder)


def test_a_voice_is_added_listed_used_and_removed(run: Run, model: Path, tmp_path: Path) -> None:
    """From a recording to a plan that is read by its voice, and gone again."""
    (tmp_path / "ana.wav").write_bytes(encode_wav(voiced(6, 210, 2), RATE))
    added = run("voices", "add", "ana", "ana.wav", "--base", "pm_alex")
    assert added.returncode == 0, added.stderr
    full_name = added.stdout.split()[0]
    (listed,) = json.loads(run("voices", "list", "--json").stdout)
    assert listed == {
        "name": "ana",
        "full_name": full_name,
        "language": "pt-BR",
        "base": "pm_alex",
    }
    (shown,) = json.loads(run("voices", "--engine", "openvoice", "--json").stdout)
    assert shown == {"name": full_name, "language": "pt-BR"}
    planned = run("plan", "-", "--engine", "openvoice", "--voice", "ana", stdin="Boa noite.")
    assert full_name in planned.stdout, planned.stderr
    assert run("voices", "remove", "ana").returncode == 0
    assert run("voices", "remove", "ana").returncode == 2


def test_a_pdf_is_refused(run: Run, model: Path, tmp_path: Path) -> None:
    """Bad input: the error says what the file is and what was expected."""
    (tmp_path / "voice.wav").write_bytes(b"%PDF-1.7\n")
    done = run("voices", "add", "ana", "voice.wav")
    assert done.returncode == 2
    assert "voice.wav is a PDF: expected a recording in WAV, MP3 or FLAC" in done.stderr
    assert run("voices", "add", "ana", "nowhere.wav").returncode == 2


def test_without_the_converter_it_says_how_to_get_it(
    run: Run, shared_store: StoreConfig, tmp_path: Path
) -> None:
    """Adding and rendering name both commands that bring it."""
    (tmp_path / "ana.wav").write_bytes(encode_wav(voiced(6, 210, 2), RATE))
    done = run("voices", "add", "ana", "ana.wav")
    assert done.returncode == 4
    assert "models fetch openvoice" in done.stderr
    assert "models export openvoice" in done.stderr


def test_the_export_says_what_it_needs(run: Run, tmp_path: Path) -> None:
    """Without the config it is bad input; without torch the error says how to install it."""
    assert run("models", "export", "openvoice", "a.pth", "config.json").returncode == 2
    (tmp_path / "config.json").write_text('{"data": {}, "model": {}}')
    done = run("models", "export", "openvoice", "a.pth", "config.json")
    assert done.returncode == 4
    assert "pip install --no-deps openvoice-cli" in done.stderr


def test_offline_says_what_openvoice_lacks(run: Run, tmp_path: Path) -> None:
    """Where the weights of the base are and the checkpoint is not, both files are named."""
    models = tmp_path / "new" / "models"
    models.mkdir(parents=True)
    real = settings().data_dir / "models" / "kokoro"
    if not real.exists():
        pytest.skip("the weights of Kokoro were not fetched yet")
    (models / "kokoro").symlink_to(real)
    environment = {"DARKCHANNEL_DATA_DIR": str(tmp_path / "new")}
    environment["DARKCHANNEL_KOKORO_RUNTIME"] = "onnxruntime"  # needs no preparation
    done = run("models", "fetch", "openvoice", "--offline", env=environment)
    assert done.returncode == 4
    assert "checkpoint.pth" in done.stderr
    assert "config.json" in done.stderr


@pytest.mark.acceptance
def test_a_book_is_read_by_a_cloned_voice(
    run: Run, model: Path, data_dir: Path, tmp_path: Path
) -> None:
    """Render with the real Kokoro and the small converter gives a finished book."""
    fetch_weights(settings(), "kokoro")
    kokoro = data_dir / "models" / "kokoro"
    kokoro.symlink_to(settings().data_dir / "models" / "kokoro")
    (tmp_path / "ana.wav").write_bytes(encode_wav(voiced(6, 210, 2), RATE))
    assert run("voices", "add", "ana", "ana.wav").returncode == 0
    try:
        arguments = ("render", "-", "--engine", "openvoice", "--voice", "ana", "--workers", "1")
        published = {"DARKCHANNEL_KOKORO_RUNTIME": "onnxruntime"}  # needs no preparation
        text = "Boa noite. A porta abriu."
        done = run(*arguments, "-o", "a.mp3", "--json", stdin=text, env=published)
    finally:
        run("voices", "remove", "ana")
        kokoro.unlink()
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["chunks_total"] == 1
    assert (tmp_path / "a.mp3").stat().st_size > 10_000
