"""Sentences for the Kokoro voice, and the runtimes that speak them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.table import Row
from darkchannel.config import Settings
from darkchannel.engines import fetch_weights
from darkchannel.models import Chunk, Utterance
from darkchannel.speech.kokoro import preparation
from darkchannel.speech.kokoro.engine import KokoroEngine
from darkchannel.speech.kokoro.float32 import Float32Runtime
from darkchannel.speech.kokoro.openvino_runtime import OpenvinoRuntime
from darkchannel.speech.kokoro.published import OnnxRuntime
from darkchannel.speech.kokoro.runtime import RUNTIMES, Runtime, usable
from darkchannel.speech.kokoro.weights import KOKORO, STYLE_ROWS, STYLE_WIDTH, WEIGHTS, voice_file

Array = npt.NDArray[np.float32]

SENTENCES = (
    ("pt-BR", "pf_dora", "O trem das seis atravessou a ponte enquanto a cidade ainda dormia."),
    ("pt-BR", "pm_alex", "Ninguém na feira sabia dizer de onde vinham aquelas laranjas azuis."),
    ("pt-BR", "pm_santa", "Meu avô guardava os parafusos em vidros, cada um com o seu nome."),
    ("pt-BR", "pf_dora", "Você trouxe o guarda-chuva, ou vamos esperar a chuva passar?"),
    ("pt-BR", "pm_alex", "A orquestra afinou os instrumentos, e o maestro, enfim, sorriu."),
    ("pt-BR", "pm_santa", "Choveu tanto em março que o quintal virou um pequeno lago."),
    ("en-US", "af_heart", "She folded the map twice and left it under the brass lamp."),
    ("en-US", "am_michael", "The bakery on the corner opens before the first bus arrives."),
    ("en-GB", "bf_emma", "Nobody had told the gardener that the fountain was a door."),
    ("en-US", "af_bella", "If the bridge is closed, we can follow the river to the mill."),
    ("en-US", "am_fenrir", "A thick fog rolled over the harbour, and every bell fell silent."),
    ("en-GB", "bm_george", "What a curious machine: it counts the stars and forgets the sum."),
)
"""Language, voice and text."""

LONG = (
    "Depois do jantar, a velha professora abriu a janela, respirou o ar frio e contou, sem "
    "pressa, como aprendera a ler as nuvens do vale."
)
"""About 150 tokens, as a chunk usually has: a runtime is busy with it for seconds."""


class Line(NamedTuple):
    """What a runtime speaks.

    Attributes:
        tokens: without padding.
        style: of the voice for that many, shape ``[256]``.
    """

    tokens: tuple[int, ...]
    style: Array


def ready() -> Settings:
    """This process's settings, with all files of every runtime that this machine can use."""
    settings = Settings.from_environment()
    for name in usable():
        fetch_weights(replace(settings, kokoro_runtime=name), "kokoro")
    return settings


def published(data_dir: Path) -> Path:
    """The graph as it is published."""
    return KOKORO.folder(data_dir) / WEIGHTS


def load(name: str, data_dir: Path, *, lanes: int = 1) -> Runtime:
    """A runtime of one thread; that of OpenVINO of one for each lane."""
    if name == "onnxruntime":
        return OnnxRuntime(published(data_dir), threads=1)
    if name == "openvino":
        return OpenvinoRuntime(preparation.folder(data_dir, name), threads=1, lanes=lanes)
    return Float32Runtime(preparation.folder(data_dir), threads=1)


def line(data_dir: Path, language: str, voice: str, text: str) -> Line:
    """Tokens of a sentence, and the voice's style for them."""
    utterance = Utterance(text, text, language)
    chunk = Chunk(1, (utterance,), voice, language, 1.0, 0, 0.0, "digest")
    tokens = KokoroEngine(data_dir).tokens(chunk)
    table = np.fromfile(KOKORO.folder(data_dir) / voice_file(voice), np.float32)
    styles = table.reshape(STYLE_ROWS, STYLE_WIDTH)
    return Line(tokens, styles[min(len(tokens), STYLE_ROWS - 1)])


def portuguese(data_dir: Path, text: str) -> Line:
    """A Portuguese sentence by its default voice."""
    return line(data_dir, "pt-BR", "pf_dora", text)


def speak(runtime: Runtime, what: Line) -> Array:
    """The samples as the model gives them, with the silence around the speech."""
    return runtime.run(what.tokens, what.style, 1.0).samples


def with_runtime(name: str, command: list[str]) -> list[str]:
    """A command of this project, with the voice computed by that runtime."""
    return ["env", f"DARKCHANNEL_KOKORO_RUNTIME={name}", *command]


def row(what: str, figures: Mapping[str, str], limit: str = "", *, met: bool = True) -> Row:
    """A row with a cell for each runtime, empty where there is no figure."""
    return Row(what, {name: figures.get(name, "") for name in RUNTIMES}, limit, met)
