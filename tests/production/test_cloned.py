"""Whole books in cloned voices: marked as such, and never made of another recording's takes."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.models import Plan
from darkchannel.production.cloned import disclosure, sounds_of
from darkchannel.production.pipeline import Production
from darkchannel.production.request import RenderRequest
from darkchannel.production.worker import EngineFactory
from darkchannel.speech.engine import Engine
from darkchannel.speech.openvoice.engine import OpenVoiceEngine
from darkchannel.speech.openvoice.voice import ClonedVoice
from darkchannel.speech.tone import ToneEngine
from tests.production.conftest import request_for, stored_plan
from tests.speech.openvoice.seeded import cloned, fixed, small_model

Make = Callable[[EngineFactory], Production]


def engine_with(*voices: ClonedVoice) -> Engine:
    return OpenVoiceEngine(ToneEngine(), small_model(), fixed(*voices))


def production_with(make: Make, *voices: ClonedVoice) -> Production:
    return make(functools.partial(engine_with, *voices))


def asked(text: str) -> RenderRequest:
    request = request_for(text, voice="ana")
    return replace(request, options=replace(request.options, engine="openvoice"))


def metadata(path: Path) -> str:
    command = [find_ffmpeg(), "-v", "error", "-i", f"file:{path}", "-f", "ffmetadata", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode()


def test_a_book_in_a_cloned_voice_says_so(
    make_production: Make, unique: str, tmp_path: Path
) -> None:
    """MP3 and M4B carry the remark; so does nothing that a voice of the base reads."""
    production = production_with(make_production, cloned("ana"))
    result = production.render(asked(f"Era {unique}."), output=tmp_path / "book.mp3")
    for kind in ("mp3", "m4b"):
        assert "cloned voices: ana" in metadata(result.files[kind])
    plain = make_production(ToneEngine).render(request_for(f"Era {unique}."))
    assert disclosure(stored_plan(production, plain.job_id)) is None


def test_another_recording_under_the_name_is_another_job(
    make_production: Make, unique: str
) -> None:
    """The same command after it was replaced renders anew; after another was added, nothing."""
    text = asked(f"Era {unique}.")
    first = production_with(make_production, cloned("ana", seed=1)).render(text)
    assert first.chunks_rendered == first.chunks_total == 1
    more = production_with(make_production, cloned("ana", seed=1), cloned("bia")).render(text)
    assert (more.job_id, more.chunks_rendered) == (first.job_id, 0)
    other = production_with(make_production, cloned("ana", seed=2)).render(text)
    assert other.job_id != first.job_id
    assert other.chunks_rendered == 1


def test_jobs_of_other_engines_keep_their_ids(make_production: Make, unique: str) -> None:
    """Without cloned voices a plan sounds like its engine's fingerprint, as it always did."""
    production = make_production(ToneEngine)
    plan: Plan = stored_plan(production, production.render(request_for(f"Era {unique}.")).job_id)
    assert sounds_of(plan) == ToneEngine.fingerprint
