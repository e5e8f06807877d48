"""``darkchannel jobs`` and ``darkchannel url``: what becomes of jobs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkchannel.cli.console import Console, print_json
from darkchannel.cli.render import LINK_SECONDS, failures_as_json
from darkchannel.config import Settings
from darkchannel.errors import JobError
from darkchannel.models import JobStatus

if TYPE_CHECKING:
    from darkchannel.production.pipeline import Production
    from darkchannel.production.progress import OnProgress
    from darkchannel.production.request import RenderResult


@click.group()
def jobs() -> None:
    """List, watch, resume, cancel and delete jobs."""


@jobs.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
def list_jobs(as_json: bool) -> None:
    """List all jobs, newest first."""
    from darkchannel.composition import open_jobs

    with open_jobs(Settings.from_environment()) as (_, manager):
        found = sorted(manager.list_jobs(), key=lambda job: job["created_at"], reverse=True)
    if as_json:
        print_json(found)
        return
    for job in found:
        click.echo(_line(job))
    if not found:
        click.echo("no jobs yet; make one with `darkchannel render INPUT`")


@jobs.command()
@click.argument("job_id")
def show(job_id: str) -> None:
    """Show all that is known of a job, as JSON."""
    from darkchannel.composition import open_jobs

    with open_jobs(Settings.from_environment()) as (_, manager):
        print_json(manager.get_job_metadata(job_id))


@jobs.command()
@click.argument("job_id")
@click.option("--interval", default=1.0, show_default=True, type=click.FloatRange(0.2, 60))
def watch(job_id: str, interval: float) -> None:
    """Follow a job until it ends."""
    from darkchannel.composition import open_jobs

    with open_jobs(Settings.from_environment()) as (_, manager):
        last = ""
        while True:
            job = manager.get_job_metadata(job_id)
            line = _line(job)
            if line != last:
                click.echo(line)
            last = line
            if JobStatus(job["status"]).final:
                break
            time.sleep(interval)
    if job["status"] != JobStatus.COMPLETED:
        raise click.exceptions.Exit(3 if job["status"] == JobStatus.CANCELLED else 1)


@jobs.command()
@click.argument("job_id")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to put the MP3.")
@click.option("--workers", type=click.IntRange(1, 256), help="Speech workers; one a core.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_obj
def resume(
    console: Console, job_id: str, output: Path | None, workers: int | None, as_json: bool
) -> None:
    """Go on with a job that failed, was cancelled or was left behind."""
    from darkchannel.composition import open_jobs

    settings = Settings.from_environment()
    if output is None and settings.store is None:
        output = Path(f"{job_id}.mp3")

    def work(production: Production, show: OnProgress) -> RenderResult:
        return production.resume(job_id, output=output, on_progress=show)

    with failures_as_json(console, enabled=as_json) as run, open_jobs(settings) as (_, manager):
        run.job_id = job_id
        engine = manager.get_job_metadata(job_id)["options"]["engine"]
        run.produce(settings, engine, workers, output, work)


@jobs.command()
@click.argument("job_id")
def cancel(job_id: str) -> None:
    """Cancel a job; whoever works on it stops within seconds, and its takes are kept."""
    from darkchannel.composition import open_jobs

    with open_jobs(Settings.from_environment()) as (_, manager):
        manager.cancel(job_id)
    click.echo(f"cancelled {job_id}; go on with `darkchannel jobs resume {job_id}`")


@jobs.command()
@click.argument("job_id")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(job_id: str, yes: bool) -> None:
    """Delete a job with its takes and its book (not what lies in the output bucket)."""
    from darkchannel.composition import open_jobs

    with open_jobs(Settings.from_environment()) as (_, manager):
        title = manager.get_job_metadata(job_id)["chapter_title"]
        if not yes:
            click.confirm(f"Delete {title!r} and all its takes?", abort=True, err=True)
        manager.delete(job_id)
    click.echo(f"deleted {job_id}")


@click.command()
@click.argument("job_id")
@click.option(
    "--expires",
    default=LINK_SECONDS,
    show_default=True,
    type=click.IntRange(1, 604800),
    help="Seconds the link is good for.",
)
def url(job_id: str, expires: int) -> None:
    """Print a fresh download link for a finished job."""
    from darkchannel.composition import open_jobs

    settings = Settings.from_environment()
    with open_jobs(settings) as (client, manager):
        job = manager.get_job_metadata(job_id)
        if job["status"] != JobStatus.COMPLETED:
            raise JobError(
                f"job {job_id} is {job['status']}, so there is nothing to download yet",
                remedy=f"darkchannel jobs resume {job_id}",
            )
        click.echo(
            client.generate_presigned_url(
                settings.buckets.output, job["output_key"], expiration=expires
            )
        )
    if settings.store is None:
        click.echo("note: it answers while `darkchannel store serve` runs", err=True)


def _line(job: dict[str, Any]) -> str:
    done, total = job.get("chunks_completed") or 0, job.get("chunks_total") or 0
    line = f"{job['job_id']}  {job['status']:<10}  {done}/{total}  {job['chapter_title']}"
    error = job.get("error")
    return f"{line}  ({error['message']})" if error else line
