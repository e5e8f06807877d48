"""What a caller asks for, and what comes back."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from darkchannel.audio.presets import get_preset
from darkchannel.models import Script
from darkchannel.script import decode, read_script
from darkchannel.script.encoding import check_encoding
from darkchannel.script.planning import check_speed
from darkchannel.storage.keys import check_job_id

# Names of jobs are derived under this namespace; changing it would make every unfinished job
# started without --job-id unfindable.
_JOB_NAMESPACE = uuid.UUID("5c8d1c1e-7f5a-5a0f-9a55-0d6f6bb0c0de")


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How a text is to be read; stored in the job's metadata, so that a resume needs no caller.

    Attributes:
        title: of the book; None takes the text's own.
        voice: name of a voice; None is the engine's default for the language.
        language: BCP 47 tag of text that names no other.
        speed: relative to the voice's own, 0.5 to 2.
        engine: ``kokoro``, ``openvoice`` or ``tone``, or the addresses of speech services.
        preset: loudness preset, such as ``acx``.
        encoding: of the input; None means UTF-8.
        strict: refuse what would be read with a warning.
    """

    title: str | None = None
    voice: str | None = None
    language: str = "pt-BR"
    speed: float = 1.0
    engine: str = "kokoro"
    preset: str = "acx"
    encoding: str | None = None
    strict: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For the job's metadata."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> RenderOptions:
        """Read :meth:`to_dict` back."""
        return cls(**raw)

    def read(self, data: bytes, *, ssml: bool | None = None) -> Script:
        """What a text says; that needs no engine.

        Args:
            data: the input file's bytes.
            ssml: whether it is SSML; None looks at the content.

        Raises:
            ScriptError: the text cannot be read.
        """
        text = decode(data, encoding=self.encoding)
        return read_script(text, language=self.language, ssml=ssml, strict=self.strict)


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One text to be made a book.

    Attributes:
        data: the input file's bytes, as given.
        input_format: ``txt`` or ``ssml``; the extension the input is kept under.
        options: how to read it.
        job_id: the caller's own id; None derives one from all of the above.
        use_cache: whether takes of other jobs may be used, and offered to them.
        name: title of a book that has none.
    """

    data: bytes
    input_format: str = "txt"
    options: RenderOptions = field(default_factory=RenderOptions)
    job_id: str | None = None
    use_cache: bool = True
    name: str = "Audiobook"

    def check(self) -> None:
        """Refuse what can be seen to be wrong before weights are fetched or a store is asked.

        Raises:
            InputError: preset, speed, encoding or job id cannot be used.
        """
        get_preset(self.options.preset)
        check_speed(self.options.speed)
        if self.options.encoding is not None:
            check_encoding(self.options.encoding)
        if self.job_id is not None:
            check_job_id(self.job_id)

    def read(self) -> Script:
        """What the text says.

        Raises:
            ScriptError: it cannot be read.
        """
        return self.options.read(self.data, ssml=is_ssml(self.input_format))

    def resolve_job_id(self, fingerprint: str) -> str:
        """The job's id: the same request always names the same job.

        That is what lets the same command, typed again after a crash, go on where it stopped.

        Args:
            fingerprint: the engine's; a job is never resumed with an engine that would sound
                different.
        """
        if self.job_id is not None:
            return self.job_id
        asked = [
            hashlib.sha256(self.data).hexdigest(),
            self.input_format,
            self.options.to_dict(),
            fingerprint,
        ]
        return str(uuid.uuid5(_JOB_NAMESPACE, json.dumps(asked, sort_keys=True)))


@dataclass(frozen=True, slots=True)
class RenderResult:
    """A finished job.

    Attributes:
        job_id: its id.
        title: the book's.
        output_key: key of the MP3 in the output bucket.
        chunks_total: chunks of the plan.
        chunks_rendered: takes made by this run.
        chunks_reused: takes that were there already, from this job or another.
        duration_seconds: length of the book.
        render_seconds: wall time of this run.
        files: local path of each file by format (``mp3``, ``m4b``, ``srt``, ``vtt``, ``report``).
        report: the measured report.
        warnings: of the plan, as sentences.
    """

    job_id: str
    title: str
    output_key: str
    chunks_total: int
    chunks_rendered: int
    chunks_reused: int
    duration_seconds: float
    render_seconds: float
    files: dict[str, Path]
    report: dict[str, Any]
    warnings: tuple[str, ...] = ()


def is_ssml(input_format: str) -> bool | None:
    """Whether an input is SSML; None where its content decides."""
    return True if input_format == "ssml" else None
