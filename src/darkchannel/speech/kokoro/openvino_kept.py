"""Compiled graphs kept on disk: reading one back takes a third of the time of compiling it.

A file is for one prepared graph, one version of OpenVINO, one kind of CPU and one set of options,
all of which its name tells.  It holds a digest, so that one that is cut or damaged is compiled
anew, and no weights: those stay in the prepared file.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from darkchannel.speech.kokoro.runtime import cpu_flags

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model

LOG = logging.getLogger(__name__)

_DIGEST_BYTES = 32


class Graph(NamedTuple):
    """What is to be compiled.

    Attributes:
        file: the prepared graph, its weights in the ``.bin`` beside it.
        read: reads it, as it is to be compiled.
        name: of it, and of the size it is compiled for.
    """

    file: Path
    read: Callable[[], Model]
    name: str

    @property
    def weights(self) -> Path:
        """Where they are."""
        return self.file.with_suffix(".bin")


def compiled(
    core: Core, graph: Graph, options: Mapping[str, object], folder: Path
) -> CompiledModel:
    """A graph as it was compiled on such a machine before; compiled and kept if it was not.

    Args:
        core: of :func:`.openvino_session.core`.
        graph: what to compile.
        options: of :func:`.openvino_session.options`.
        folder: where such files are kept; one that cannot be written keeps nothing.

    Raises:
        RuntimeError: it cannot be compiled.
    """
    # Without weights; OpenVINO has to be told so as well when it reads it back.
    chosen = {**options, "CACHE_MODE": "OPTIMIZE_SIZE"}
    file = folder / f"{graph.name}-{_circumstances(graph, chosen)}.blob"
    kept = _read(file)
    if kept is not None:
        where = {"WEIGHTS_PATH": str(graph.weights)}
        try:
            return core.import_model(io.BytesIO(kept), "CPU", {**chosen, **where})
        except RuntimeError as error:
            LOG.warning("%s cannot be used and is compiled again: %s", file, error)
    made = core.compile_model(graph.read(), "CPU", chosen)
    exported = io.BytesIO()
    made.export_model(exported)
    _write(file, exported.getvalue())
    return made


def _circumstances(graph: Graph, options: Mapping[str, object]) -> str:
    from darkchannel.speech.openvino_library import openvino

    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    told = [openvino.get_version(), sorted(cpu_flags()), limit, sorted(options.items())]
    # Before the graph is read: should it be prepared anew meanwhile, nobody looks for this one.
    for status in (graph.file.stat(), graph.weights.stat()):
        told += [status.st_size, status.st_mtime_ns]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _read(file: Path) -> bytes | None:
    """What was kept, if all of it is there."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    digest, kept = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return kept if hashlib.sha256(kept).digest() == digest else None


def _write(file: Path, data: bytes) -> None:
    draft = file.with_suffix(".draft")
    try:
        file.parent.mkdir(exist_ok=True)
        # Two writers at a time make a file whose digest is wrong, which the next one mends.
        draft.write_bytes(hashlib.sha256(data).digest() + data)
        draft.replace(file)
    except OSError as error:
        LOG.debug("a compiled graph is not kept: %s", error)
