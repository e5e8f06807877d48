"""The commands of docs/voices.md are run as they stand there, with a small converter."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from darkchannel.audio.wav import encode_wav
from darkchannel.config import StoreConfig
from darkchannel.engines import fetch_weights
from tests.docs.test_commands import CHAPTER, blocks, environment, runnable
from tests.speech.openvoice.seeded import RATE, SMALL, voiced
from tests.speech.real_kokoro import settings


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_the_voices_guide_works(tmp_path: Path, store_config: StoreConfig) -> None:
    """Every shell block runs to its end, in order, in one folder."""
    fetch_weights(settings(), "kokoro")
    models = tmp_path / "data" / "models"
    shutil.copytree(SMALL, models / "openvoice")
    for folder in (settings().data_dir / "models").iterdir():
        if folder.name != "openvoice":
            (models / folder.name).symlink_to(folder)
    (tmp_path / "chapter.txt").write_text(CHAPTER, encoding="utf-8")
    (tmp_path / "recording.wav").write_bytes(encode_wav(voiced(6, 210, 2), RATE))
    for block in blocks("docs/voices.md", "sh"):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", runnable(block, store_config)],
            cwd=tmp_path,
            env=environment() | {"DARKCHANNEL_DATA_DIR": str(tmp_path / "data")},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    assert (tmp_path / "maria.mp3").stat().st_size > 10_000
