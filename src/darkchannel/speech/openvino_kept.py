"""Compiled graphs kept on disk: reading one takes a quarter of the time of compiling it.

The name of a file is a digest of all that it depends on: the graph with its constants, the options,
the version of OpenVINO and the CPU.  So none is ever out of date.  A file ends with the digest of
what is before, so that one that a disk damaged is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from darkchannel.speech import mapped

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model

LOG = logging.getLogger(__name__)

Array = npt.NDArray[np.uint8]

_DIGEST_BYTES = 32
_LEFT_SECONDS = 3600.0
"""After which nobody writes any more to what a kill left."""


class KeptGraphs:
    """Compiled graphs, and the folder that they are kept in."""

    def __init__(self, core: Core, folder: Path) -> None:
        """Begin.

        Args:
            core: of :func:`.openvino_session.core`.
            folder: where files are kept; where it cannot be written, none are.
        """
        self._core = core
        self._folder = folder
        self._mapped: list[Array] = []
        for draft in folder.glob("*.draft"):
            with contextlib.suppress(OSError):
                if time.time() - draft.stat().st_mtime > _LEFT_SECONDS:
                    draft.unlink()

    def compiled(self, model: Model, options: Mapping[str, object]) -> CompiledModel:
        """A graph compiled, now or by a process before; usable as long as this is there.

        Args:
            model: the graph.
            options: of compiling.

        Raises:
            RuntimeError: it cannot be compiled.
        """
        file = self._folder / f"{_circumstances(self._core, model, options)}.blob"
        kept = _read(file)
        if kept is not None:
            try:
                return self._imported(kept, options)
            except RuntimeError as error:
                LOG.warning("%s cannot be used and is compiled again: %s", file, error)
        made = self._core.compile_model(model, "CPU", dict(options))
        exported = io.BytesIO()
        made.export_model(exported)
        _write(file, exported.getvalue())
        return made

    def give_back(self) -> None:
        """Let go of the memory of constants: kernels have them in an order of their own.

        Graphs that take signals of any length order them anew for each length.
        """
        mapped.give_back(self._mapped)

    def _imported(self, kept: Array, options: Mapping[str, object]) -> CompiledModel:
        from darkchannel.speech.openvino_library import openvino

        tensor = openvino.Tensor(kept[:-_DIGEST_BYTES], shared_memory=True)
        made = self._core.import_model(tensor, "CPU", dict(options))
        self._mapped.append(kept)
        self.give_back()
        return made


def _circumstances(core: Core, model: Model, options: Mapping[str, object]) -> str:
    from darkchannel.speech.openvino_library import openvino

    about = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
    cpu = [core.get_property("CPU", name) for name in about]
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    told = hashlib.sha256()
    told.update(repr((openvino.get_version(), cpu, limit, sorted(options.items()))).encode())
    names: dict[str, int] = {}
    for number, node in enumerate(model.get_ordered_ops()):
        names[node.get_friendly_name()] = number  # which is counted up all through a process
        sources = [value.get_source_output() for value in node.inputs()]
        before = [(names[x.get_node().get_friendly_name()], x.get_index()) for x in sources]
        if node.get_type_name() == "Constant":
            values = np.ascontiguousarray(node.data)
            told.update(repr((before, values.dtype, values.shape)).encode())
            told.update(values.data)
        else:
            attributes = sorted(node.get_attributes().items())
            told.update(repr((before, node.get_type_name(), attributes)).encode())
    return told.hexdigest()


def _read(file: Path) -> Array | None:
    """What was kept, if all of it is there, and its digest."""
    try:
        kept = mapped.contents(file)
    except (OSError, ValueError):  # of an empty file
        return None
    digest = kept[-_DIGEST_BYTES:].tobytes()
    return kept if hashlib.sha256(kept[:-_DIGEST_BYTES].data).digest() == digest else None


def _write(file: Path, data: bytes) -> None:
    """Under its name when it is whole."""
    try:
        file.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".draft", delete=False) as draft:
            draft.write(data + hashlib.sha256(data).digest())
        Path(draft.name).replace(file)
    except OSError as error:
        LOG.debug("a compiled graph is not kept: %s", error)
