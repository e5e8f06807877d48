"""Books to be rendered while something breaks, and how their commands end."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from darkchannel.storage import MinIOClient
from darkchannel.storage.keys import chunks_prefix
from tests.faults.minio.recorder import digests
from tests.production.test_pipeline import hear
from tests.storage.embedded_processes import wait_for


@dataclass(frozen=True)
class Book:
    """A text of one take a sentence, unlike any other book's."""

    directory: Path
    number: int
    sentence_count: int

    @property
    def job_id(self) -> str:
        return f"book-{self.number}"

    @property
    def mp3(self) -> Path:
        return self.directory / f"{self.job_id}.mp3"

    @property
    def sentences(self) -> list[str]:
        count = self.sentence_count
        return [
            f"Livro {self.number}, frase {number} de {count}." for number in range(1, count + 1)
        ]

    def command(self) -> list[str]:
        """Arguments of ``darkchannel``; the same each time."""
        text = self.directory / f"{self.job_id}.txt"
        text.write_text("\n\n".join(self.sentences), encoding="utf-8")
        options = ["--engine", "tone", "--speed", "2", "--workers", "1", "--json"]
        return ["render", str(text), "-o", str(self.mp3), "--job-id", self.job_id, *options]

    def takes(self, client: MinIOClient) -> dict[str, str]:
        """SHA-256 of each take in the store."""
        return digests(client, client.config.buckets.jobs, chunks_prefix(self.job_id))

    def wait_for_takes(self, client: MinIOClient, count: int) -> None:
        """Wait until the job is so far."""
        bucket, prefix = client.config.buckets.jobs, chunks_prefix(self.job_id)
        assert wait_for(lambda: len(list(client.list(bucket, prefix))) >= count, 60)

    def is_whole(self) -> bool:
        """Whether the MP3 says every sentence once and in order."""
        return hear(self.mp3) == self.sentences


@dataclass(frozen=True)
class Failure:
    """How a command failed: its exit code, the kind of error, and the line it was told in."""

    code: int
    kind: str
    line: str


def failure(process: subprocess.Popen[str], *, timeout: float = 120) -> Failure:
    """Wait for ``render --json`` to fail as it should: in one line and in JSON, without a trace."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode, f"it succeeded: {out}"
    assert "Traceback" not in err, err
    told = json.loads(out)
    assert told["success"] is False
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert told["error"]["message"] in line
    return Failure(process.returncode, told["error"]["type"], line)
