"""A cloned voice, as a value that travels to workers."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FULL_NAME = re.compile(r"(.+)@[0-9a-f]{10}")


def short_name(voice: str) -> str | None:
    """The name in a cloned voice's full name; None if the voice is no cloned one."""
    found = _FULL_NAME.fullmatch(voice)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class ClonedVoice:
    """What a recording was boiled down to.

    Attributes:
        name: as given by whoever added it.
        language: BCP 47 tag of the language it is the default for; it speaks all of them.
        embedding: the speaker's vector, little-endian float32, as bytes.
        base: name of the base voice it is made of; None means the base engine's default for
            the language spoken.
    """

    name: str
    language: str
    embedding: bytes
    base: str | None = None

    @property
    def full_name(self) -> str:
        """Name and version: another recording under the same name is another voice.

        So a take is never reused for a voice that sounds different by now, and a new voice
        leaves the takes of all others alone.
        """
        parts = (self.name.encode(), self.embedding, (self.base or "").encode())
        digest = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts))
        return f"{self.name}@{digest.hexdigest()[:10]}"

    @property
    def vector(self) -> npt.NDArray[np.float32]:
        """The embedding, shape ``[width]``."""
        return np.frombuffer(self.embedding, "<f4").astype(np.float32)
