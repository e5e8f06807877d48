"""``darkchannel render``: a text becomes an audiobook."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darkchannel.cli.console import Console, print_json, report_cancelled
from darkchannel.cli.stopping import stop_on_signals
from darkchannel.config import Settings

if TYPE_CHECKING:
    from darkchannel.production.pipeline import Production
    from darkchannel.production.progress import OnProgress, Progress
    from darkchannel.production.request import RenderResult

LINK_SECONDS = 3600


def reading_options(command: Any) -> Any:
    """Options that decide how a text is read; shared with ``plan``."""
    for option in reversed(
        (
            click.option("--voice", help="Name of a voice; see `darkchannel voices`."),
            click.option(
                "--language", default="pt-BR", show_default=True, help="Language of the text."
            ),
            click.option(
                "--speed", type=float, default=1.0, show_default=True, help="0.5 to 2; 1 is normal."
            ),
            click.option(
                "--engine",
                default="kokoro",
                show_default=True,
                help="kokoro speaks; openvoice in cloned voices; tone beeps at once, for dry runs;"
                " or http://HOST:PORT,...",
            ),
            click.option("--encoding", help="Encoding of the input, if it is not UTF-8."),
            click.option("--strict", is_flag=True, help="Refuse what would only be warned about."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(allow_dash=True, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Where to put the MP3.")
@click.option("--title", help="Title of the book; the text's own by default.")
@reading_options
@click.option("--preset", default="acx", show_default=True, help="Loudness: acx, r128, podcast.")
@click.option("--job-id", help="An id of your own; the same command finds its job without one.")
@click.option("--workers", type=click.IntRange(1, 256), help="Speech workers; one a core.")
@click.option("--no-cache", is_flag=True, help="Render all, even what other jobs rendered before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, nothing else.")
@click.pass_obj
def render(
    console: Console,
    /,
    source: Path,
    output: Path | None,
    title: str | None,
    preset: str,
    job_id: str | None,
    workers: int | None,
    no_cache: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Make INPUT (text or SSML; - for standard input) a mastered audiobook.

    Writes OUTPUT.mp3 with .m4b, .srt, .vtt and .report.json beside it.  The same command typed
    again after a crash, a kill or Ctrl-C goes on where it stopped; after a correction it renders
    only what changed.

    \b
    Examples:
      darkchannel render chapter.txt
      darkchannel render chapter.ssml -o out/chapter.mp3 --voice pm_alex
      cat chapter.txt | darkchannel render - --title "Capítulo 1" --json
    """
    from darkchannel.composition import bounded, input_format, read_input
    from darkchannel.production.request import RenderOptions, RenderRequest

    from_stdin = str(source) == "-"
    with failures_as_json(console, enabled=as_json) as run:
        data = bounded(sys.stdin.buffer.read(), "the input") if from_stdin else read_input(source)
        settings = Settings.from_environment()
        request = RenderRequest(
            data=data,
            input_format="txt" if from_stdin else input_format(source),
            options=RenderOptions(title=title, preset=preset, **reading),
            job_id=job_id,
            use_cache=not no_cache,
            name="Audiobook" if from_stdin else source.stem,
        )
        request.check()
        request.read()  # a text that cannot be read is no reason for a long download
        if output is None and settings.store is None:
            # Nothing would answer under a link once this command has ended.
            output = Path("audiobook.mp3" if from_stdin else f"{source.stem}.mp3")

        def work(production: Production, show: OnProgress) -> RenderResult:
            return production.render(request, output=output, on_progress=show)

        run.produce(settings, request.options.engine, workers, output, work)


@dataclass
class Run:
    """One run from the command line, and how its end is told: as JSON or in words."""

    console: Console
    as_json: bool
    job_id: str | None = None
    _untold: threading.Lock = field(default_factory=threading.Lock)

    def produce(
        self,
        settings: Settings,
        engine: str,
        workers: int | None,
        output: Path | None,
        work: Callable[[Production, OnProgress], RenderResult],
    ) -> None:
        """Fetch what is missing, do the work under a progress display, and tell of the book."""
        from darkchannel.composition import open_production
        from darkchannel.engines import fetch_weights
        from darkchannel.production.publishing import check_output

        if output is not None:
            check_output(output)  # before a long download, too
        with self.console.download() as show_download:
            fetch_weights(settings, engine, show_download)
        with open_production(settings, engine, workers=workers) as production:
            with self.console.progress() as show:

                def follow(progress: Progress) -> None:
                    self.job_id = progress.job_id or self.job_id
                    show(progress)

                result = work(production, follow)
            link = None
            if settings.store is not None:
                link = production.client.generate_presigned_url(
                    settings.buckets.output, result.output_key, expiration=LINK_SECONDS
                )
        present(result, link, self.console, as_json=self.as_json)

    def tell_failure(self, error: BaseException) -> None:
        """One JSON object on stdout, once, where that was asked for."""
        if not self.as_json or not self._untold.acquire(blocking=False):
            return
        cancelled = isinstance(error, KeyboardInterrupt)
        print_json(
            {
                "success": False,
                "job_id": self.job_id,
                "error": {
                    "type": "Cancelled" if cancelled else type(error).__name__,
                    "message": "cancelled" if cancelled else str(error),
                    "chunk": getattr(error, "chunk", None),
                },
            }
        )

    def tell_cancelled(self) -> int:
        """The last words of a run that hangs while it stops."""
        self.tell_failure(KeyboardInterrupt())
        return report_cancelled()


@contextmanager
def failures_as_json(console: Console, *, enabled: bool) -> Iterator[Run]:
    """Let a failure end as one JSON object on stdout as well, where that was asked for.

    Ctrl-C and SIGTERM are failures too, and end the command soon even if the store hangs.
    """
    run = Run(console, enabled)
    stop_on_signals(run.tell_cancelled)
    try:
        yield run
    except (Exception, KeyboardInterrupt) as error:
        run.tell_failure(error)
        raise


def present(result: RenderResult, link: str | None, console: Console, *, as_json: bool) -> None:
    """Tell of a finished book, as JSON or in words."""
    for warning in result.warnings:
        console.say(f"warning: {warning}")
    if as_json:
        print_json(
            {
                "success": True,
                "job_id": result.job_id,
                "status": "completed",
                "download_url": link,
                "expires_in": LINK_SECONDS,
                "output_key": result.output_key,
                "chunks_total": result.chunks_total,
                "chunks_rendered": result.chunks_rendered,
                "chunks_reused": result.chunks_reused,
                "duration_seconds": round(result.duration_seconds, 3),
                "render_seconds": round(result.render_seconds, 3),
                "files": {kind: str(path) for kind, path in result.files.items()},
            }
        )
        return
    minutes, seconds = divmod(round(result.duration_seconds), 60)
    click.echo(
        f"{result.title}: {minutes} min {seconds:02d} s in {result.chunks_total} chunks"
        f" ({result.chunks_rendered} rendered, {result.chunks_reused} reused),"
        f" {result.render_seconds:.1f} s"
    )
    for kind, path in result.files.items():
        click.echo(f"  {kind:<7}{path}")
    verdict = "passes" if result.report.get("acx", {}).get("pass") else "does not pass"
    click.echo(f"  {verdict} ACX; job {result.job_id}")
    if link:
        click.echo(f"  link, good for an hour: {link}")
