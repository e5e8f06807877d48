"""OpenVINO itself, imported so that it reports to nobody and no thread waits for another.

Importing it would tell its makers over the network, with an identifier that it keeps in the home
directory.  It does so in its tools for converting models, and goes without these where they
cannot be imported: so they cannot be.  Everything here takes OpenVINO from this module.
"""

from __future__ import annotations

import sys

import numpy as np

_TOOLS = "openvino.tools.ovc"

_loaded = _TOOLS in sys.modules
if not _loaded:
    sys.modules[_TOOLS] = None  # type: ignore[assignment]
try:
    import openvino
    from openvino import opset13
finally:
    if not _loaded:
        del sys.modules[_TOOLS]

# OpenVINO sets its bridge to numpy up at the first touch of a tensor's data; two threads that
# touch theirs at once wait for each other for ever.  A module is imported by one thread alone.
_ = openvino.Tensor(np.zeros(1, np.float32)).data

__all__ = ["openvino", "opset13"]
