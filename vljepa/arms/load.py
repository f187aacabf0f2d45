"""The five trained arms, ready: the checkpoint `shapes`, and the weights beside it in the folder `arms`."""

import json
from functools import cached_property
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


class Arms:
    """The arms under `root`, on the CPU in float32, for they are small; each is read when it is first asked for.

    CheckpointError says which file or tensor is missing or does not fit.
    """

    def __init__(self, root: Path = SHIPPED) -> None:
        self._root, self._folder = root, root / "arms"

    @cached_property
    def vljepa(self) -> VLJEPA:
        """VL-JEPA, with decoder, bank and map."""
        return load(self._root / "shapes", "cpu", torch.float32)

    @property
    def encoder(self) -> TubeletXEncoder:
        """The frozen encoder that all arms that know text share."""
        encoder = self.vljepa.x_encoder
        assert isinstance(encoder, TubeletXEncoder)
        return encoder

    @cached_property
    def token_vlm(self) -> TokenVLM:
        """The token VLM."""
        made = new_token_vlm(0)
        _fill(made, self._folder, "token_vlm")
        return made

    @cached_property
    def joint(self) -> VLJEPA:
        """The joint embedding."""
        made = new_model(self.encoder, 0)
        _fill(nn.ModuleDict({"predictor": made.predictor, "y_encoder": made.y_encoder}), self._folder, "joint")
        return made.eval()

    @cached_property
    def flow(self) -> FlowPainter:
        """The flow-matching painter."""
        made = FlowPainter()
        _fill(made, self._folder, "flow")
        return made

    @cached_property
    def latent(self) -> LatentPredictor:
        """V-JEPA's predictor of what is hidden."""
        made = LatentPredictor(self.encoder.config.hidden, STEPS * self.encoder.tokens_per_step)
        _fill(made, self._folder, "vjepa")
        return made

    @cached_property
    def collapse(self) -> dict[str, Any]:
        """What the runs without an anti-collapse term told."""
        return self._told("collapse")

    @cached_property
    def curves(self) -> dict[str, Any]:
        """Every arm's log, thinned."""
        return self._told("curves")

    def _told(self, name: str) -> dict[str, Any]:
        path = self._folder / f"{name}.json"
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; fetch it again, or make it with `python -m vljepa arms train`")
        told: dict[str, Any] = json.loads(path.read_text())
        return told


def _fill(module: nn.Module, folder: Path, name: str) -> None:
    """Copy every tensor of `NAME.safetensors`, or of its numbered parts, into the one of its name."""
    files = sorted(folder.glob(f"{name}.safetensors")) or sorted(folder.glob(f"{name}-*.safetensors"))
    wanted = {k: v for k, v in module.state_dict().items() if k != "model.lm_head.weight"}  # tied to the embedding
    if not files:
        raise CheckpointError(f"the arm {name} is missing in {folder}; fetch it again, or train it with "
                              "`python -m vljepa arms train`")
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
