"""What computes the model, and which of them a machine uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from darkchannel.errors import SettingError

Array = npt.NDArray[np.float32]

RUNTIMES = ("float32", "onnxruntime")
"""``float32`` computes with float weights, and convolves by Fourier transforms: the faster one,
and nearer to the model as it was trained.  ``onnxruntime`` computes the published graph with its
8-bit weights, as other tools do: no preparation, less disk."""

DEFAULT = "float32"


class Spoken(NamedTuple):
    """What a runtime makes of tokens.

    Attributes:
        samples: at 24 kHz, shape ``[frames]``, with the silence the model puts around them.
        bounds: seconds at which each token begins, then the end of the last: one more than
            tokens; None where the runtime does not know.
    """

    samples: Array
    bounds: tuple[float, ...] | None


class Runtime(Protocol):
    """The model, loaded and ready; used by one thread at a time."""

    def run(self, tokens: Sequence[int], style: Array, speed: float) -> Spoken:
        """Speak tokens.

        Args:
            tokens: without padding.
            style: the voice's vector for that many tokens, shape ``[256]``.
            speed: relative to the voice's own.

        Raises:
            RuntimeError: these tokens cannot be computed.
        """
        ...


def choose(asked: str | None) -> str:
    """The runtime to use.

    Args:
        asked: by a setting; None means :data:`DEFAULT`.

    Raises:
        SettingError: there is none of that name.
    """
    if asked is None:
        return DEFAULT
    if asked not in RUNTIMES:
        raise SettingError(
            f"unknown Kokoro runtime {asked!r}", remedy=f"choose one of {', '.join(RUNTIMES)}"
        )
    return asked
