"""Who speaks before the conversion: the embedding of a base voice, computed once and kept.

It is taken from some sentences that the base voice reads, the same for every chunk: of a single
short chunk the encoder would hear the words more than the voice.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from darkchannel.errors import EngineUnavailableError
from darkchannel.models import Chunk, Utterance
from darkchannel.speech.engine import Engine
from darkchannel.speech.openvoice.converter import Array, Converter
from darkchannel.speech.resampling import resample

VERSION = "1"
"""Of the sentences below and what is done with them."""

SENTENCES = {
    "pt": (
        "O padeiro abria a porta às quatro da manhã, quando a rua ainda era dos gatos.",
        "Acendia o forno, sovava a massa e ouvia, no rádio baixinho, notícias de longe.",
        "Às seis, o cheiro do pão chegava às janelas e acordava um bairro inteiro.",
    ),
    "en": (
        "The baker opened his door at four in the morning, while the cats still owned the street.",
        "He lit the oven, kneaded the dough and let a quiet radio tell him news from far away.",
        "By six the smell of bread had reached the windows and woken the whole neighbourhood.",
    ),
}
"""12 seconds or more by every voice; our own."""


def embedding(base: Engine, voice: str, converter: Converter, kept: Path) -> Array:
    """The embedding of one of the base's voices, reading its own language.

    Args:
        base: whose voice it is.
        voice: its name.
        converter: computes it.
        kept: folder of embeddings computed earlier; one that cannot be written is done without.

    Returns:
        Shape ``[width]``.

    Raises:
        EngineUnavailableError: the base cannot speak, or the networks cannot be run.
    """
    about = converter.about
    identity = f"{VERSION}\n{base.fingerprint}\n{voice}\n{about.digest}"
    file = kept / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.f32"
    with contextlib.suppress(OSError):
        raw = file.read_bytes()
        if len(raw) == 4 * about.width:
            return np.frombuffer(raw, "<f4").astype(np.float32)
    language = next(known.language for known in base.voices if known.name == voice)
    chunks = _chunks(base, voice, language)
    spoken = np.concatenate([speech.samples for speech in base.synthesize(chunks)])
    try:
        found = converter.embed(resample(spoken, base.sample_rate, about.sample_rate))
    except (RuntimeError, ValueError) as error:
        raise EngineUnavailableError(f"the voice {voice} cannot be embedded: {error}") from error
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
        # A name of its own for each process: several may compute the same at once.
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_bytes(found.astype("<f4").tobytes())
        draft.replace(file)
    return found


def _chunks(base: Engine, voice: str, language: str) -> list[Chunk]:
    made = []
    sentences = SENTENCES["pt" if language.startswith("pt") else "en"]
    for index, text in enumerate(sentences, start=1):
        said = Utterance(text, text, language)
        tokens = base.count_tokens(said)
        made.append(Chunk(index, (said,), voice, language, 1.0, tokens, 0.0, f"source-{index}"))
    return made
