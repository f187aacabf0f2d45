"""The five trained arms, ready: the checkpoint `shapes`, and the weights beside it in the folder `arms`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from vljepa.arms.flow import FlowPainter
from vljepa.arms.recipe import new_model, new_token_vlm
from vljepa.arms.token_vlm import TokenVLM
from vljepa.arms.vjepa import LatentPredictor
from vljepa.checkpoint import SHIPPED, load
from vljepa.errors import CheckpointError
from vljepa.model import VLJEPA
from vljepa.tubelet_vit import STEPS, TubeletXEncoder


@dataclass(frozen=True)
class Arms:
    """All five, on the CPU in float32: they are small. `curves` and `collapse` are what their training told."""

    vljepa: VLJEPA
    token_vlm: TokenVLM
    joint: VLJEPA
    flow: FlowPainter
    latent: LatentPredictor
    curves: dict[str, list[dict[str, Any]]]
    collapse: dict[str, Any]


def load_arms(root: Path = SHIPPED) -> Arms:
    """The arms under `root`. CheckpointError says which file or tensor is missing or does not fit."""
    vljepa = load(root / "shapes", "cpu", torch.float32)
    encoder = vljepa.x_encoder
    assert isinstance(encoder, TubeletXEncoder)
    folder = root / "arms"
    joint, flow, token_vlm = new_model(encoder, 0), FlowPainter(), new_token_vlm(0)
    latent = LatentPredictor(encoder.config.hidden, STEPS * encoder.tokens_per_step)
    _fill(nn.ModuleDict({"predictor": joint.predictor, "y_encoder": joint.y_encoder}), folder, "joint")
    for name, module in (("flow", flow), ("token_vlm", token_vlm), ("vjepa", latent)):
        _fill(module, folder, name)
    told = [json.loads((folder / f"{name}.json").read_text()) for name in ("curves", "collapse")]
    return Arms(vljepa, token_vlm, joint, flow, latent, *told)


def _fill(module: nn.Module, folder: Path, name: str) -> None:
    """Copy every tensor of `NAME.safetensors`, or of its numbered parts, into the one of its name."""
    files = sorted(folder.glob(f"{name}.safetensors")) or sorted(folder.glob(f"{name}-*.safetensors"))
    wanted = {k: v for k, v in module.state_dict().items() if k != "model.lm_head.weight"}  # tied to the embedding
    try:
        found = {k: v for file in files for k, v in load_file(file).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the arm {name} in {folder} cannot be read: {error}; fetch it again") from None
    for key in sorted(wanted.keys() | found.keys()):
        if key not in wanted or key not in found or wanted[key].shape != found[key].shape:
            raise CheckpointError(f"the arm {name} in {folder} does not fit: tensor {key}; train it again with "
                                  "`python -m vljepa arms train`")
    with torch.no_grad():
        for key, tensor in found.items():
            wanted[key].copy_(tensor)
    module.eval().requires_grad_(False)
