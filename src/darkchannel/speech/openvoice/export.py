"""From the published checkpoint to the two graphs: needs torch, once.

``pip install torch onnx`` and ``pip install --no-deps openvoice-cli==0.0.5``, the model's own
code, are all it takes; that package's dependencies, pinned to old versions, are not used.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from darkchannel.errors import EngineUnavailableError, InputError
from darkchannel.speech.openvoice.converter import (
    CONVERTER,
    DESCRIPTION,
    ENCODER,
    FORMAT,
    file_digest,
)

OPSET = 17
REMEDY = (
    "install them where the export runs, in an environment of their own if you like:"
    " pip install torch onnx, then pip install --no-deps openvoice-cli==0.0.5"
)


def export(checkpoint: Path, config: Path, folder: Path) -> None:
    """Make the folder that :class:`.converter.Converter` reads.

    Only tensors are read from the checkpoint: code in it is refused, not run.

    Args:
        checkpoint: ``checkpoint.pth`` of the converter.
        config: ``config.json`` beside it.
        folder: made if need be; a model already there is replaced.

    Raises:
        EngineUnavailableError: torch or the model's code is not installed.
        InputError: the files are not those of an OpenVoice converter.
        OSError: the folder cannot be written.
    """
    try:
        settings = json.loads(config.read_bytes())
        data, sizes = settings["data"], settings["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{config} is not the config of an OpenVoice converter: {error}"
        ) from error
    model = _loaded(build(settings), checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".export-", dir=folder))
    try:
        write_graphs(model, data["filter_length"] // 2 + 1, sizes, work)
        about = {
            "format": FORMAT,
            "sample_rate": data["sampling_rate"],
            "window": data["filter_length"],
            "hop": data["hop_length"],
            "latent": sizes["inter_channels"],
            "width": sizes["gin_channels"],
            "checkpoint_sha256": file_digest(checkpoint),
            "files": {
                name: [file_digest(work / name), (work / name).stat().st_size]
                for name in (ENCODER, CONVERTER)
            },
        }
        (work / DESCRIPTION).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        # The description goes first and comes last: a half replaced model is none.
        (folder / DESCRIPTION).unlink(missing_ok=True)
        for name in (ENCODER, CONVERTER, DESCRIPTION):
            os.replace(work / name, folder / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def build(settings: dict[str, Any]) -> Any:
    """The model's own code around the numbers of a config; its weights are still to come.

    Raises:
        EngineUnavailableError: torch or the model's code is not installed.
        InputError: the numbers do not make a converter.
    """
    try:
        import onnx  # noqa: F401 - the exporter needs it, and would say so late
        from openvoice_cli.models import SynthesizerTrn
    except ImportError as error:
        raise EngineUnavailableError(
            f"the export needs torch, onnx and openvoice-cli: {error}", remedy=REMEDY
        ) from error
    data, sizes = settings["data"], settings["model"]
    if data.get("n_speakers") != 0 or data.get("win_length") != data.get("filter_length"):
        raise InputError("the config is not that of a tone colour converter")
    try:
        return SynthesizerTrn(0, data["filter_length"] // 2 + 1, n_speakers=0, **sizes).eval()
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the config does not make a converter: {error}") from error


def _loaded(model: Any, checkpoint: Path) -> Any:
    import torch

    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
        missing = model.load_state_dict(state, strict=False).missing_keys
        if missing:
            raise KeyError(", ".join(missing[:3]))
    except Exception as error:  # torch raises whatever unpickling raises
        raise InputError(
            f"{checkpoint} does not hold the weights of that config: {str(error)[:300]}",
            remedy="fetch both anew with `darkchannel models fetch openvoice`",
        ) from error
    return model


def write_graphs(model: Any, bins: int, sizes: dict[str, Any], folder: Path) -> None:
    """Export both graphs of a model with weights, as float32, for batches of one.

    Args:
        model: a ``SynthesizerTrn``; its weight norms are folded in.
        bins: of the spectrogram.
        sizes: the config's numbers of the model.
        folder: to write to.
    """
    import torch

    for module in model.modules():
        if hasattr(module, "weight_g"):
            torch.nn.utils.remove_weight_norm(module)
    frames = 96
    embedding = torch.zeros(1, sizes["gin_channels"], 1)
    spectrogram = torch.ones(1, bins, frames)
    noise = torch.zeros(1, sizes["inter_channels"], frames)
    with torch.no_grad(), warnings.catch_warnings():
        # Of tracing: sizes taken as constants are those of the batch, which is always one.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.ref_enc,
            (spectrogram.transpose(1, 2).contiguous(),),
            str(folder / ENCODER),
            input_names=["frames"],
            output_names=["embedding"],
            dynamic_axes={"frames": {1: "time"}},
            opset_version=OPSET,
            dynamo=False,
        )
        torch.onnx.export(
            conversion(model),
            (spectrogram, embedding, embedding.clone(), noise, torch.ones(1)),
            str(folder / CONVERTER),
            input_names=["spectrogram", "source", "target", "noise", "tau"],
            output_names=["samples"],
            dynamic_axes={
                "spectrogram": {2: "time"},
                "noise": {2: "time"},
                "samples": {2: "samples"},
            },
            opset_version=OPSET,
            dynamo=False,
        )


def conversion(model: Any) -> Any:
    """``voice_conversion`` of the model as a module whose noise is an input.

    One utterance fills its batch, so the mask of lengths is all ones.
    """
    import torch

    class Conversion(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, spectrogram: Any, source: Any, target: Any, noise: Any, tau: Any) -> Any:
            posterior = self.model.enc_q
            mask = torch.ones_like(spectrogram[:, :1])
            silenced = self.model.zero_g
            spoken = torch.zeros_like(source) if silenced else source
            hidden = posterior.enc(posterior.pre(spectrogram), mask, g=spoken)
            mean, log_spread = torch.split(posterior.proj(hidden), posterior.out_channels, dim=1)
            latent = mean + noise * tau * torch.exp(log_spread)
            neutral = self.model.flow(latent, mask, g=source)
            recast = self.model.flow(neutral, mask, g=target, reverse=True)
            return self.model.dec(recast, g=torch.zeros_like(target) if silenced else target)

    return Conversion().eval()
