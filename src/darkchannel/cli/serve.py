"""``darkchannel serve``: the HTTP services."""

from __future__ import annotations

import click

from darkchannel.cli.keys import need_api_extra
from darkchannel.config import Settings


@click.group()
def serve() -> None:
    """Serve over HTTP.

    A service listens on this machine alone unless --host says otherwise; others are let in only
    with an API key, see `darkchannel keys`.  SIGTERM or Ctrl-C finishes what is under way.
    """


@serve.command()
@click.option("--engine", default="kokoro", show_default=True, help="kokoro speaks; tone beeps.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), help="Chunks at a time; one a core.")
def speech(engine: str, host: str, port: int, workers: int | None) -> None:
    """Speak for others: chunks straight into the store, and speech as OpenAI's clients expect it.

    \b
    Example:
      darkchannel serve speech --engine kokoro
      curl http://127.0.0.1:8001/readyz
    """
    need_api_extra()
    from darkchannel.api.application import Service
    from darkchannel.api.serving import serve as run
    from darkchannel.api.speech import speech_app
    from darkchannel.services import open_speech

    settings = Settings.from_environment()
    service = Service.from_settings(settings)
    with open_speech(settings, engine, workers=workers) as parts:
        run(speech_app(service, parts), service, host, port)


@serve.command()
@click.option("--engine", default="kokoro", show_default=True, help="kokoro speaks; tone beeps.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 256), help="Chunks at a time; one a core.")
def api(engine: str, host: str, port: int, workers: int | None) -> None:
    """Take jobs from others: make them books, tell where they stand, link to what is done.

    Jobs survive it being stopped or killed: started again, it goes on with them.

    \b
    Example:
      darkchannel serve api --engine kokoro
      curl http://127.0.0.1:8000/v1/jobs -H 'Content-Type: application/json' \\
        -d '{"text": "Era uma vez."}'
    """
    need_api_extra()
    from darkchannel.api.application import Service
    from darkchannel.api.jobs import jobs_app
    from darkchannel.api.serving import serve as run
    from darkchannel.services import open_jobs_api

    settings = Settings.from_environment()
    service = Service.from_settings(settings)
    with open_jobs_api(settings, engine, workers=workers) as parts:
        run(jobs_app(service, parts), service, host, port)
