"""One text, one job, one book."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from darkchannel.audio.ffmpeg import find_ffmpeg
from darkchannel.errors import (
    IntegrityError,
    JobBusyError,
    JobCancelledError,
    JobConflictError,
    OutputError,
    ScriptError,
    SettingError,
    UnknownVoiceError,
)
from darkchannel.production.pipeline import Production
from darkchannel.production.progress import Progress
from darkchannel.production.worker import EngineFactory
from darkchannel.speech.tone import decode_tones
from darkchannel.storage.keys import chunk_key, plan_key
from tests.production.conftest import request_for, stored_plan

PARAGRAPHS = (
    "O barco saiu cedo da ilha de {0}. Ninguém olhou para trás.",
    "— Você vem de {0}? — perguntou Clara.",
    "O mar estava calmo; o céu, também. Era quase meio-dia em {0}.",
)


def text_with(word: str) -> str:
    """Three paragraphs in two chapters that say a word of their own."""
    first, second, third = (paragraph.format(word) for paragraph in PARAGRAPHS)
    return f"# Partida {word}\n\n{first}\n\n{second}\n\n# Chegada {word}\n\n{third}\n"


def hear(mp3: Path) -> list[str]:
    """The sentences an MP3 says, decoded from its tones."""
    pcm = subprocess.run(
        [find_ffmpeg(), "-v", "error", "-i", str(mp3), "-f", "f32le", "-ac", "1", "-"],
        capture_output=True,
        check=True,
    ).stdout
    return decode_tones(np.frombuffer(pcm, np.float32), 44_100)


def sentences(production: Production, job_id: str) -> list[str]:
    """What the stored plan says should be heard."""
    plan = stored_plan(production, job_id)
    return [utterance.spoken for chunk in plan.chunks for utterance in chunk.utterances]


def test_says_every_sentence_once_and_in_order(
    production: Production, unique: str, tmp_path: Path
) -> None:
    """The MP3 says exactly the sentences of the text, in their order."""
    result = production.render(request_for(text_with(unique)), output=tmp_path / "book.mp3")
    heard = hear(tmp_path / "book.mp3")
    assert heard == sentences(production, result.job_id)
    assert heard[0] == f"Partida {unique}"
    assert heard[1] == f"O barco saiu cedo da ilha de {unique}."
    assert set(result.files) == {"mp3", "m4b", "srt", "vtt", "report"}
    assert all(path.stat().st_size > 0 for path in result.files.values())


def test_leaves_a_complete_record_of_the_job(production: Production, unique: str) -> None:
    """The metadata of a finished job says what was asked, how it went and where the book is."""
    result = production.render(request_for(text_with(unique), title="A partida"))
    job = production.jobs.get_job_metadata(result.job_id)
    assert job["status"] == "completed"
    assert job["chapter_title"] == "A partida"
    assert job["chunks_completed"] == job["chunks_total"] == result.chunks_total
    assert job["output_url"] == f"s3://{production.store.buckets.output}/{job['output_key']}"
    assert job["duration_seconds"] == pytest.approx(result.duration_seconds, abs=0.01)
    assert job["completed_at"].endswith("Z")
    assert job["input_text"] == text_with(unique)
    finals = {
        info.key.rsplit("/", 1)[1]
        for info in production.client.list(production.store.buckets.jobs, f"{result.job_id}/final/")
    }
    assert finals == {
        "audiobook.mp3",
        "audiobook.m4b",
        "audiobook.srt",
        "audiobook.vtt",
        "report.json",
    }
    assert production.client.exists(production.store.buckets.output, result.output_key)


def test_the_same_request_names_the_same_job(
    production: Production, unique: str, tmp_path: Path
) -> None:
    """Asked again, a finished job is fetched, not rendered."""
    first = production.render(request_for(text_with(unique)), output=tmp_path / "one.mp3")
    second = production.render(request_for(text_with(unique)), output=tmp_path / "two.mp3")
    assert second.job_id == first.job_id
    assert second.chunks_rendered == 0
    assert (tmp_path / "one.mp3").read_bytes() == (tmp_path / "two.mp3").read_bytes()
    assert json.loads((tmp_path / "two.report.json").read_text()) == second.report


def test_a_correction_renders_only_what_changed(production: Production, unique: str) -> None:
    """After one sentence of a rendered chapter is edited, only its chunk is rendered."""
    first = production.render(request_for(text_with(unique)))
    edited = text_with(unique).replace("perguntou", "gritou")
    second = production.render(request_for(edited))
    assert second.job_id != first.job_id
    assert (second.chunks_rendered, second.chunks_reused) == (1, first.chunks_total - 1)


def test_without_the_cache_everything_is_rendered(
    make_production: Callable[[], Production], unique: str
) -> None:
    """A job that may not use the cache neither takes from it nor leaves anything in it."""
    from dataclasses import replace

    production = make_production()
    alone = replace(request_for(text_with(unique)), use_cache=False)
    total = production.render(alone).chunks_total
    again = replace(request_for(text_with(unique), job_id=f"again-{unique}"), use_cache=False)
    assert production.render(again).chunks_rendered == total
    shared = production.render(request_for(text_with(unique), job_id=f"shared-{unique}"))
    assert shared.chunks_rendered == total


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: b"garbage", id="garbage"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: data[:44] + bytes(len(data) - 44), id="silent"),
        pytest.param(None, id="deleted"),
    ],
)
def test_a_damaged_take_is_rendered_again(
    production: Production,
    unique: str,
    tmp_path: Path,
    damage: Callable[[bytes], bytes] | None,
) -> None:
    """A take that was overwritten, cut or deleted after it was rendered never reaches a book."""
    from dataclasses import replace

    request = replace(request_for(text_with(unique)), use_cache=False)
    jobs = production.store.buckets.jobs
    spoiled: list[str] = []

    def spoil(progress: Progress) -> None:
        if progress.stage == "checking" and not spoiled:
            key = chunk_key(progress.job_id, 2)
            spoiled.append(key)
            stored = production.client.get(jobs, key)
            if damage is None:
                production.client.delete(jobs, key)
            else:
                # With the old facts beside it: only reading the bytes tells.
                production.client.put(
                    jobs, key, damage(stored.data), metadata=dict(stored.metadata)
                )

    result = production.render(request, output=tmp_path / "book.mp3", on_progress=spoil)
    assert spoiled
    assert hear(tmp_path / "book.mp3") == sentences(production, result.job_id)


def test_a_take_of_another_text_is_not_reused(production: Production, unique: str) -> None:
    """An object under the right key with the wrong digest is rendered over."""
    job_id = f"mixed-{unique}"
    key = chunk_key(job_id, 1)
    production.client.put(production.store.buckets.jobs, key, b"old", metadata={"digest": "0" * 64})
    result = production.render(request_for(text_with(unique), job_id=job_id))
    assert result.chunks_rendered == result.chunks_total


def test_a_tampered_plan_is_refused(production: Production, unique: str) -> None:
    """A plan that was changed in the store stops the job, and nothing is published."""
    request = request_for(text_with(unique))
    with pytest.raises(KeyboardInterrupt):
        production.render(request, on_progress=interrupt_at("checking"))
    (job,) = [job for job in production.jobs.list_jobs() if unique in job.get("input_text", "")]
    jobs = production.store.buckets.jobs
    key = plan_key(job["job_id"])
    plan = production.client.get(jobs, key).data
    production.client.put(jobs, key, plan.replace(b"barco", b"navio"))
    with pytest.raises(IntegrityError, match="plan"):
        production.render(request)
    assert not list(production.client.list(jobs, f"{job['job_id']}/final/"))


def interrupt_at(stage: str) -> Callable[[Progress], None]:
    """Ctrl-C, as soon as a run reaches a stage."""

    def interrupt(progress: Progress) -> None:
        if progress.stage == stage:
            raise KeyboardInterrupt

    return interrupt


@pytest.mark.parametrize("stage", ["checking", "mastering", "publishing"])
def test_an_interrupted_run_is_gone_on_with(
    production: Production, unique: str, tmp_path: Path, stage: str
) -> None:
    """After Ctrl-C the job says cancelled; the same request then renders nothing twice."""
    request = request_for(text_with(unique), job_id=f"stop-{unique}")
    with pytest.raises(KeyboardInterrupt):
        production.render(request, on_progress=interrupt_at(stage))
    assert production.jobs.get_job_metadata(f"stop-{unique}")["status"] == "cancelled"
    result = production.render(request, output=tmp_path / "book.mp3")
    assert result.chunks_rendered == 0
    assert hear(tmp_path / "book.mp3") == sentences(production, result.job_id)


def test_resume_needs_nothing_but_the_job_id(production: Production, unique: str) -> None:
    """A job that was left behind is finished from what the store knows of it."""
    request = request_for(text_with(unique), job_id=f"left-{unique}")
    with pytest.raises(KeyboardInterrupt):
        production.render(request, on_progress=interrupt_at("checking"))
    assert production.resume(f"left-{unique}").chunks_rendered == 0


def test_a_cancelled_job_stops_and_keeps_its_takes(production: Production, unique: str) -> None:
    """A job cancelled by somebody else stops within seconds; its takes are found again."""
    job_id = f"cancel-{unique}"
    text = "\n\n".join(f"Parágrafo {number} de {unique}." for number in range(40))

    def cancel(progress: Progress) -> None:
        if progress.stage == "rendering" and progress.chunks_done == 3:
            production.jobs.cancel(job_id)
        if progress.stage == "mastering":
            pytest.fail("the job went on to mastering")

    with pytest.raises(JobCancelledError):
        production.render(request_for(text, job_id=job_id), on_progress=cancel)
    assert production.jobs.get_job_metadata(job_id)["status"] == "cancelled"
    assert production.render(request_for(text, job_id=job_id)).chunks_reused >= 3


def test_two_processes_never_work_on_one_job(production: Production, unique: str) -> None:
    """While somebody holds the lease, the same request is refused."""
    job_id = f"busy-{unique}"
    refused: list[JobBusyError] = []

    def ask_again(progress: Progress) -> None:
        if progress.stage == "checking" and not refused:
            with pytest.raises(JobBusyError) as caught:
                production.render(request_for(text_with(unique), job_id=job_id))
            refused.append(caught.value)

    production.render(request_for(text_with(unique), job_id=job_id), on_progress=ask_again)
    assert refused


def test_a_job_id_stands_for_one_text(production: Production, unique: str) -> None:
    """A job id that is taken by another text, or by other options, is refused."""
    production.render(request_for(text_with(unique), job_id=f"taken-{unique}"))
    with pytest.raises(JobConflictError):
        production.render(request_for(text_with("x"), job_id=f"taken-{unique}"))
    with pytest.raises(JobConflictError):
        production.render(request_for(text_with(unique), job_id=f"taken-{unique}", speed=1.5))


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (request_for(""), ScriptError),
        (request_for("Olá.", voice="nobody"), UnknownVoiceError),
        (request_for("Olá.", speed=0.0), SettingError),
        (request_for("Olá.", preset="loud"), SettingError),
    ],
    ids=["empty", "voice", "speed", "preset"],
)
def test_bad_input_leaves_nothing_behind(
    production: Production, request_: object, error: type[Exception]
) -> None:
    """A request that cannot be rendered makes no job."""
    before = {job["job_id"] for job in production.jobs.list_jobs()}
    with pytest.raises(error):
        production.render(request_)  # type: ignore[arg-type]
    assert {job["job_id"] for job in production.jobs.list_jobs()} == before


def test_an_unwritable_output_is_found_out_first(
    production: Production, unique: str, tmp_path: Path
) -> None:
    """Where the MP3 cannot be written, nothing is rendered."""
    with pytest.raises(OutputError):
        production.render(
            request_for(text_with(unique), job_id=f"out-{unique}"),
            output=tmp_path / "missing" / "book.mp3",
        )
    assert f"out-{unique}" not in {job["job_id"] for job in production.jobs.list_jobs()}


def test_a_title_is_never_a_path(production: Production, unique: str) -> None:
    """A title full of path parts names one harmless object."""
    result = production.render(request_for(text_with(unique), title="../../etc/passwd"))
    day, name = result.output_key.split("/")
    assert ".." not in day
    assert "passwd" in name


def test_the_engine_that_spoke_is_part_of_the_job(
    make_production: Callable[[EngineFactory], Production], unique: str
) -> None:
    """Another speed is another job, whose takes are its own."""
    production = make_production()  # type: ignore[call-arg]
    first = production.render(request_for(text_with(unique)))
    second = production.render(request_for(text_with(unique), speed=1.25))
    assert first.job_id != second.job_id
    assert second.chunks_rendered == second.chunks_total
