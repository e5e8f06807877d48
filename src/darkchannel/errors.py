"""Every error this project raises on purpose, in one tree.

::

    DarkChannelError                 exit code 1, unless said otherwise below
    ├── InputError                   2   what was given cannot be used
    │   ├── ScriptError                  the text or SSML: names the line and what was expected
    │   ├── SettingError                 an environment variable or option
    │   ├── InvalidKeyError              a job id, object key or file name
    │   ├── UnknownVoiceError            lists the choices and the nearest name
    │   ├── UnknownLanguageError         likewise
    │   └── OutputError                  the place asked for cannot be written
    ├── UnavailableError             4   something that must answer does not
    │   ├── StoreUnavailableError        no answer from the store, or not yet
    │   ├── StoreAccessError             the store refuses the credentials or the act
    │   ├── EngineUnavailableError       weights, libraries or a speech service are missing
    │   └── EngineBusyError              more speech is asked for than may wait
    ├── StoreError                       the store answered with something else than asked for
    │   ├── NotFoundError                no such object or bucket
    │   ├── PreconditionError            a conditional write lost: somebody else wrote first
    │   ├── StoreFullError               no space left where the store keeps its data
    │   └── IntegrityError               bytes differ from what their digest says
    ├── JobError
    │   ├── JobNotFoundError
    │   ├── JobBusyError                 another process holds the lease
    │   ├── JobConflictError             the job exists with another input
    │   ├── LeaseLostError               another owner took the job over
    │   └── JobCancelledError        3
    ├── SynthesisError                   an engine could not speak a chunk: names the chunk
    ├── MergeError                       the merge gate: a take is missing, silent or broken
    └── AudioError                       FFmpeg failed, or a file is not the audio it should be

Each message is one sentence that says what was expected; ``remedy`` says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class DarkChannelError(Exception):
    """Root of the tree.

    Attributes:
        exit_code: what the command line returns for it.
        remedy: what the reader can do about it; may be empty.
        chunk: index (from 1) of the chunk concerned, where there is one.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", chunk: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.chunk = chunk

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel between worker processes; keyword-only fields need help to do so.
        return (_rebuild, (type(self), self.message, self.remedy, self.chunk))


def _rebuild(
    kind: type[DarkChannelError], message: str, remedy: str, chunk: int | None
) -> DarkChannelError:
    return kind(message, remedy=remedy, chunk=chunk)


class InputError(DarkChannelError):
    """What was given cannot be used; nothing was written."""

    exit_code = 2


class ScriptError(InputError):
    """The text or SSML cannot be read; the message names the line."""


class SettingError(InputError):
    """An environment variable or option has a value that cannot be used."""


class InvalidKeyError(InputError):
    """A job id, an object key or a file name that is refused."""


class UnknownVoiceError(InputError):
    """The engine has no such voice; the message lists the choices and the nearest name."""


class UnknownLanguageError(InputError):
    """The engine does not speak that language; the message lists the choices."""


class OutputError(InputError):
    """The place asked for cannot be written."""


class UnavailableError(DarkChannelError):
    """Something that must answer does not."""

    exit_code = 4


class StoreUnavailableError(UnavailableError):
    """No answer from the store, or not yet: safe to try again."""


class StoreAccessError(UnavailableError):
    """The store refuses the credentials or the act: trying again does not help."""


class EngineUnavailableError(UnavailableError):
    """Weights, libraries or a speech service are missing."""


class EngineBusyError(UnavailableError):
    """More speech is asked for than may wait for its turn: safe to try again."""


class StoreError(DarkChannelError):
    """The store answered with something else than asked for."""


class NotFoundError(StoreError):
    """No such object or bucket."""


class PreconditionError(StoreError):
    """A conditional write lost: the object is not in the state it was expected in."""


class StoreFullError(StoreError):
    """There is no space left where the store keeps its data."""


class IntegrityError(StoreError):
    """Bytes differ from what their digest says."""


class JobError(DarkChannelError):
    """Something about a job's state."""


class JobNotFoundError(JobError):
    """There is no such job."""


class JobBusyError(JobError):
    """Another process works on the job under a lease that has not expired."""


class JobConflictError(JobError):
    """The job exists already with another input or in another state."""


class LeaseLostError(JobError):
    """Another owner took the job over; whatever this one still writes is refused."""


class JobCancelledError(JobError):
    """The job was cancelled."""

    exit_code = 3


class SynthesisError(DarkChannelError):
    """An engine could not speak a chunk."""


class MergeError(DarkChannelError):
    """The merge gate found a take missing, silent, broken or of implausible length."""


class AudioError(DarkChannelError):
    """FFmpeg failed, or a file is not the audio it should be."""
