"""The export of a model of the real size, where torch and the model's code are installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from darkchannel.errors import InputError
from darkchannel.speech.openvoice.converter import Converter, damaged
from darkchannel.speech.openvoice.export import export
from tests.speech.openvoice.seeded import FULL_CONFIG, RATE, SMALL_CONFIG, voiced

pytestmark = pytest.mark.acceptance


@pytest.fixture(autouse=True)
def _torch() -> None:
    pytest.importorskip("torch", reason="needs torch: see docs/voices.md")
    pytest.importorskip("openvoice_cli", reason="needs openvoice-cli: see docs/voices.md")


def test_a_model_of_the_real_size_equals_the_reference(tmp_path: Path) -> None:
    """32.8 million seeded weights: embeddings and samples agree to 1e-5."""
    from tests.speech.openvoice import golden

    export(*golden.save_checkpoint(FULL_CONFIG, tmp_path), tmp_path / "model")
    assert damaged(tmp_path / "model") == []
    source, target = voiced(256 * 200 / RATE, 120, 1), voiced(256 * 300 / RATE, 210, 2)
    model = golden.seeded_model(FULL_CONFIG)
    assert sum(weight.numel() for weight in model.parameters()) > 32_000_000
    wanted = golden.reference(model, FULL_CONFIG["data"], source, target)
    converter = Converter(tmp_path / "model", threads=2)
    np.testing.assert_allclose(converter.embed(source), wanted["source"], atol=1e-5)
    found = converter.convert(
        source, wanted["source"], wanted["target"], seed=(9).to_bytes(16, "little")
    )
    assert np.sqrt(np.mean(found**2)) > 0.01
    np.testing.assert_allclose(found, wanted["samples"], atol=1e-5)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    """Neither code, nor another size, nor nothing is taken; what was exported before stays."""
    import torch

    from tests.speech.openvoice import golden

    checkpoint, config = golden.save_checkpoint(SMALL_CONFIG, tmp_path)
    export(checkpoint, config, tmp_path / "model")
    other = tmp_path / "other.json"
    other.write_text(json.dumps(FULL_CONFIG))
    with pytest.raises(InputError, match="does not hold the weights"):
        export(checkpoint, other, tmp_path / "model")
    torch.save({"model": Path}, checkpoint)
    with pytest.raises(InputError, match="does not hold the weights"):
        export(checkpoint, config, tmp_path / "model")
    with pytest.raises(InputError):
        export(tmp_path / "nowhere.pth", config, tmp_path / "model")
    assert damaged(tmp_path / "model") == []
