"""The ``kokoro`` engine: text to samples with Kokoro-82M, whichever runtime computes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darkchannel.errors import SynthesisError
from darkchannel.models import Chunk, Utterance
from darkchannel.speech import weights
from darkchannel.speech.edges import Edges, Samples, find_edges
from darkchannel.speech.engine import Speech, TokenTime, Voice
from darkchannel.speech.kokoro import espeak, phonemes, preparation, vocabulary
from darkchannel.speech.kokoro.runtime import Runtime, choose
from darkchannel.speech.kokoro.weights import (
    KOKORO,
    STYLE_ROWS,
    STYLE_WIDTH,
    VOICE_DIGESTS,
    WEIGHTS,
    voice_file,
)
from darkchannel.speech.limits import check_chunk
from darkchannel.speech.voices import VoiceCatalogue
from darkchannel.speech.weights import OnProgress

VERSION = "1"
"""Changes whenever the same phonemes would sound different."""

SAMPLE_RATE = 24_000
MAX_TOKENS = 510
"""A context of 512 with the padding at both ends; a voice has no style beyond it either."""

DEFAULT_VOICES = {"pt-BR": "pf_dora", "en-US": "af_heart", "en-GB": "bf_emma"}
ALIASES = {"pt": "pt-BR", "en": "en-US"}
_LANGUAGE_OF_INITIAL = {"p": "pt-BR", "a": "en-US", "b": "en-GB"}

VOICES = tuple(Voice(name, _LANGUAGE_OF_INITIAL[name[0]]) for name in VOICE_DIGESTS)

Style = npt.NDArray[np.float32]


class KokoroEngine:
    """Speaks Brazilian Portuguese and English; see :class:`darkchannel.speech.engine.Engine`.

    A token is a phoneme, a stress or length mark, a punctuation mark or a space.  A voice
    speaks any of the languages: the language decides the phonemes, the voice the timbre, so
    that ``af_heart`` reads Portuguese with an accent.

    Weights are fetched, unless ``offline``, and loaded at the first chunk.  An engine can be
    pickled at any time: the copy loads its own.
    """

    name = "kokoro"
    sample_rate = SAMPLE_RATE
    max_tokens = MAX_TOKENS

    def __init__(
        self,
        data_dir: Path,
        *,
        runtime: str | None = None,
        threads: int = 1,
        lanes: int = 1,
        offline: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Make an engine; nothing is loaded yet.

        Args:
            data_dir: the project's data directory, with the weights under ``models/kokoro``.
            runtime: one of :data:`.runtime.RUNTIMES`; None leaves it to the machine.
            threads: of one inference.  Several engines of one thread, each in a process of its
                own, do more than one engine of several.
            lanes: engines of this process that speak at a time, and share what is loaded where
                the runtime can be shared.
            offline: never fetch; say what is missing.
            on_progress: hears how far fetching is; not pickled.

        Raises:
            SettingError: there is no such runtime.
        """
        self._runtime_name = choose(runtime).runtime
        self._data_dir = data_dir
        self._threads = threads
        self._lanes = lanes
        self._offline = offline
        self._on_progress = on_progress
        self._catalogue = VoiceCatalogue(VOICES, defaults=DEFAULT_VOICES, aliases=ALIASES)
        self._phonemizer = phonemes.Phonemizer()
        self._runtime: Runtime | None = None
        self._styles: dict[str, Style] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self._data_dir, self._runtime_name, self._threads, self._lanes, self._offline)
        return (_rebuild, given)

    @property
    def fingerprint(self) -> str:
        """Of the runtime, the weights, the phonemes and this code."""
        digest = KOKORO.files[0].sha256[:12]
        sounds = f"espeak-{espeak.version()}-phonemes-{phonemes.VERSION}"
        return f"kokoro-{self._runtime_name}-{VERSION}-{digest}-{sounds}"

    @property
    def voices(self) -> tuple[Voice, ...]:
        """All voices, sorted by language and name."""
        return self._catalogue.voices

    def resolve_voice(self, voice: str | None, language: str) -> str:
        """See :meth:`darkchannel.speech.engine.Engine.resolve_voice`."""
        return self._catalogue.resolve(voice, language)

    def count_tokens(self, utterance: Utterance) -> int:
        """Phoneme tokens of one utterance, 0 if nothing in it sounds.

        Raises:
            UnknownLanguageError: the engine does not speak the utterance's language.
            ScriptError: a given pronunciation is not IPA.
            EngineUnavailableError: espeak-ng is missing.
        """
        return len(self._phonemizer(utterance, self._catalogue.language(utterance.language)))

    def load(self) -> None:
        """See :meth:`darkchannel.speech.engine.Engine.load`."""
        self._ready()

    def synthesize(self, chunks: Sequence[Chunk]) -> Iterator[Speech]:
        """See :meth:`darkchannel.speech.engine.Engine.synthesize`."""
        for chunk in chunks:
            yield self._speak(chunk)

    def close(self) -> None:
        """Let go of the weights; the next chunk loads them again."""
        self._runtime = None
        self._styles.clear()

    def tokens(self, chunk: Chunk) -> tuple[int, ...]:
        """Token ids of a chunk, without padding: its utterances', a space between each two.

        Raises:
            SynthesisError: there are none, or more than :attr:`max_tokens`.
        """
        return vocabulary.encode(" ".join(self._phonemes(chunk)))

    def _phonemes(self, chunk: Chunk) -> list[str]:
        """Of each utterance; a token is a character, and a space goes between two utterances."""
        language = self._catalogue.language(chunk.language)
        said = [self._phonemizer(utterance, language) for utterance in chunk.utterances]
        check_chunk(chunk, sum(map(len, said)) + len(said) - 1, MAX_TOKENS)
        return said

    def _speak(self, chunk: Chunk) -> Speech:
        voice = self.resolve_voice(chunk.voice, chunk.language)
        said = self._phonemes(chunk)
        runtime = self._ready()
        # A voice's rows are for 0 to 509 tokens: the longest chunk shares the last one.
        style = self._style(voice)[min(sum(map(len, said)) + len(said) - 1, STYLE_ROWS - 1)]
        try:
            spoken = runtime.run(vocabulary.encode(" ".join(said)), style, chunk.speed)
        except RuntimeError as error:
            raise _unspeakable(chunk, f"could not be computed: {error}") from error
        samples, edges = _finished(spoken.samples, chunk)
        if spoken.bounds is None:
            return Speech(samples, SAMPLE_RATE)
        bounds = _shifted(spoken.bounds, edges)
        times = tuple(
            TokenTime(token, start, end)
            for token, (start, end) in zip(" ".join(said), pairwise(bounds), strict=True)
        )
        # An onset is heard from the space before it on: measured, up to 75 ms before its token.
        starts, at = [0.0], 0
        for words in said[:-1]:
            at += len(words)
            starts.append(bounds[at])
            at += 1
        return Speech(samples, SAMPLE_RATE, tuple(starts), times)

    def _ready(self) -> Runtime:
        if self._runtime is None:
            self._runtime = self._loaded()
        return self._runtime

    def _loaded(self) -> Runtime:
        folder = weights.fetch(
            KOKORO, self._data_dir, offline=self._offline, on_progress=self._on_progress
        )
        if self._runtime_name == "onnxruntime":
            from darkchannel.speech.kokoro.published import OnnxRuntime

            return OnnxRuntime(folder / WEIGHTS, threads=self._threads)
        prepared = preparation.prepare(
            folder / WEIGHTS, KOKORO.files[0].sha256, self._data_dir, self._runtime_name
        )
        if self._runtime_name == "openvino":
            from darkchannel.speech.kokoro.openvino_runtime import shared

            return shared(prepared, threads=self._threads, lanes=self._lanes)
        from darkchannel.speech.kokoro.float32 import Float32Runtime

        return Float32Runtime(prepared, threads=self._threads)

    def _style(self, voice: str) -> Style:
        if voice not in self._styles:
            table = np.fromfile(KOKORO.folder(self._data_dir) / voice_file(voice), np.float32)
            self._styles[voice] = table.reshape(STYLE_ROWS, STYLE_WIDTH)
        return self._styles[voice]


def _rebuild(data_dir: Path, runtime: str, threads: int, lanes: int, offline: bool) -> KokoroEngine:
    return KokoroEngine(data_dir, runtime=runtime, threads=threads, lanes=lanes, offline=offline)


def _shifted(bounds: Sequence[float], edges: Edges) -> list[float]:
    """Times in the samples that were kept, from times in all of them."""
    length = (edges.stop - edges.start) / SAMPLE_RATE
    return [min(max(0.0, at - edges.start / SAMPLE_RATE), length) for at in bounds]


def _finished(audio: Samples, chunk: Chunk) -> tuple[Samples, Edges]:
    """Trimmed (and where), and within [-1, 1]: a take that goes beyond is turned down as a whole.

    Some voices peak up to 0.6 dB over full scale; clipping would distort what mastering can
    still place correctly.
    """
    if not np.isfinite(audio).all():
        raise _unspeakable(chunk, "came out as something that is not sound")
    edges = find_edges(audio, SAMPLE_RATE)
    samples = edges.cut(audio)
    if len(samples) == 0:
        raise _unspeakable(chunk, f"came out silent: {chunk.text[:60]!r}")
    peak = float(np.abs(samples).max())
    return (samples if peak <= 1.0 else samples / np.float32(peak)), edges


def _unspeakable(chunk: Chunk, reason: str) -> SynthesisError:
    return SynthesisError(
        f"chunk {chunk.index} {reason}",
        remedy="change the sentence's wording a little",
        chunk=chunk.index,
    )
