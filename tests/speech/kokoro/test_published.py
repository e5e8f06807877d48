"""The graph on onnxruntime, and what it says when it cannot be computed."""

from pathlib import Path

import numpy as np
import pytest

from darkchannel.errors import EngineUnavailableError
from darkchannel.speech.kokoro.published import OnnxRuntime
from darkchannel.speech.kokoro.weights import KOKORO, STYLE_WIDTH, WEIGHTS
from darkchannel.speech.weights import fetch
from tests.speech.real_kokoro import settings


@pytest.mark.parametrize("content", [b"", b"not a graph", bytes(10_000)])
def test_a_file_that_is_no_graph_is_an_error(content: bytes, tmp_path: Path) -> None:
    """The error names the file and how to check it."""
    file = tmp_path / "graph.onnx"
    file.write_bytes(content)
    with pytest.raises(EngineUnavailableError) as refused:
        OnnxRuntime(file, threads=1)
    assert str(file) in refused.value.message
    assert "--verify" in refused.value.remedy


@pytest.mark.slow
def test_a_graph_that_fails_says_so() -> None:
    """A token beyond the vocabulary is a failure of the run, not of the process."""
    runtime = OnnxRuntime(fetch(KOKORO, settings().data_dir) / WEIGHTS, threads=1)
    with pytest.raises(RuntimeError):
        runtime.run([100_000], np.zeros(STYLE_WIDTH, np.float32), 1.0)
