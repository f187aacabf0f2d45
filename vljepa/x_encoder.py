"""X-Encoder: frames become a grid of visual tokens, with a frozen network (VL-JEPA, arXiv:2512.10942, section 3.1).

At laptop size it is EfficientNet-Lite (Tan & Le, arXiv:1905.11946; the Lite variant without squeeze-and-excitation,
ReLU6), one pass a frame. At the paper's size it is V-JEPA 2 from transformers, one pass a clip; other encoders of that
library (SigLIP 2, DINOv2, DINOv3, CLIP) go frame by frame.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vljepa.colour_names import cell_columns, column_count, part_columns
from vljepa.config import PIXELS, XEncoderConfig
from vljepa.tubelet_vit import TubeletXEncoder

# kernel, stride, expansion, channels, repeats: EfficientNet-B0's stages, which Lite scales
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
          (3, 1, 6, 320, 1))
STRIDE_8, STRIDE_16 = 2, 4  # the last stages at those strides: colour and texture live there


def build_x_encoder(config: XEncoderConfig) -> "FrameXEncoder | ClipXEncoder | ImageXEncoder | TubeletXEncoder":
    """The X-Encoder that `config` describes, with random weights, in evaluation mode and without gradients."""
    clips = config.architecture == "vjepa2" or (config.model or {}).get("model_type") == "vjepa2"
    encoder: FrameXEncoder | ClipXEncoder | ImageXEncoder | TubeletXEncoder
    if config.architecture == "efficientnet_lite":
        encoder = FrameXEncoder(config)
    elif config.architecture == "tubelet_vit":
        encoder = TubeletXEncoder(config)
    else:
        encoder = ClipXEncoder(config) if clips else ImageXEncoder(config)
    return encoder.eval().requires_grad_(False)


class SameConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's "same" does: the odd pixel goes right and below.

    The weights were trained so; symmetric padding shifts every stride-2 map by a pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = x.shape[-2:]
        down = max((math.ceil(height / stride) - 1) * stride + kernel - height, 0)
        right = max((math.ceil(width / stride) - 1) * stride + kernel - width, 0)
        if down == right and down % 2 == 0:
            return F.conv2d(x, self.weight, self.bias, self.stride, down // 2, 1, self.groups)
        x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; batch norms are folded into the convolutions."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = nn.Conv2d(channels_in, inner, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        # in place: a convolution's output is nobody else's, and a fresh one costs page faults
        inner = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        inner = self.project(F.relu6(self.depthwise(inner), inplace=True))
        return x + inner if self.residual else inner


class FrameXEncoder(nn.Module):
    """EfficientNet-Lite as a token maker: each frame gives `grid` x `grid` cell tokens and one for the whole frame.

    A token joins what the network sees at strides 8, 16 and 32 with its class posterior for that cell, read through
    the text embeddings of the class names: words the network already knows, in a form the predictor can pass on. Last
    come the shares of the eleven colour names in each part of the cell, which the network's own features average away.
    """

    frames_per_step = 1  # a frame's tokens depend on that frame alone, so windows can share them
    part_widths: tuple[int, int]
    class_embeddings: Tensor
    token_mean: Tensor
    token_std: Tensor

    def __init__(self, config: XEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = SameConv2d(3, 32, 3, 2)
        self.stages = nn.ModuleList()
        channels, tapped = 32, []
        for index, (kernel, stride, expansion, base, repeats) in enumerate(STAGES):
            out = _round_channels(base * config.width)
            # Lite keeps the first and the last stage at one block whatever the depth
            count = repeats if index in (0, len(STAGES) - 1) else math.ceil(repeats * config.depth)
            blocks = [InvertedResidual(channels if i == 0 else out, out, kernel, stride if i == 0 else 1, expansion)
                      for i in range(count)]
            self.stages.append(nn.Sequential(*blocks))
            channels = out
            tapped += [out] if index in (STRIDE_8, STRIDE_16) else []
        self.head = nn.Conv2d(channels, 1280, 1)
        self.classifier = nn.Linear(1280, config.classes)
        self.register_buffer("class_embeddings", torch.zeros(config.classes, config.class_dim))
        self.tokens_per_step = config.grid**2 + 1
        learned = 1280 + sum(tapped) + config.class_dim
        self.part_widths = (channels, tapped[-1])  # of the features that each part has, at strides 32 and 16
        self.dim = learned + column_count(config.colour_parts, self.part_widths)
        # standardise each learned dimension over natural photos: its parts differ in scale by a factor of a hundred
        self.register_buffer("token_mean", torch.zeros(learned))
        self.register_buffer("token_std", torch.ones(learned))

    def channels_last(self) -> None:
        """Lay the convolutions out as they run fastest: several times faster than the default on a CPU."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)

    def preprocess(self, frames: Tensor) -> Tensor:
        """uint8 RGB (..., height, width, 3), already `image_size` square -> float (..., 3, height, width)."""
        # channels_last in memory as it comes: no copy before the first convolution
        return ((frames.float() - 127.0) / 128.0).movedim(-1, -3)

    def forward(self, pixels: Float[Tensor, "batch time 3 height width"]) -> Float[Tensor, "batch time tokens dim"]:
        """Visual tokens: the grid's cells row by row, then the whole frame."""
        batch, time = pixels.shape[:2]
        tokens = self._tokens(pixels.flatten(0, 1))
        return tokens.unflatten(0, (batch, time))

    def class_logits(self, pixels: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """The ImageNet logits of whole frames, to check the weights against their source."""
        return self.classifier(self._features(pixels)[0].mean((2, 3)))

    def _features(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The head's map, and those at strides 8, 16 and 32 that it is made of."""
        x, taps = F.relu6(self.stem(pixels.contiguous(memory_format=torch.channels_last)), inplace=True), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in (STRIDE_8, STRIDE_16):
                taps.append(x)
        return F.relu6(self.head(x), inplace=True), [*taps, x]

    def _tokens(self, pixels: Tensor) -> Tensor:
        features, (stride_8, stride_16, stride_32) = self._features(pixels)
        cells = [self._cells(m) for m in (features, stride_8, stride_16)]  # each (B, grid^2 + 1, C)
        posterior = self.classifier(cells[0]).float().softmax(-1)
        words = posterior.to(self.class_embeddings.dtype) @ self.class_embeddings
        tokens = torch.cat([*(c.float() for c in cells), words.float()], dim=-1)
        tokens = ((tokens - self.token_mean) / self.token_std).clamp(-10.0, 10.0)  # rare channels spike
        if not self.config.colour_parts:
            return tokens
        return torch.cat([tokens, *self._parts(pixels, stride_32, stride_16)], dim=-1)

    def _parts(self, pixels: Tensor, stride_32: Tensor, stride_16: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The columns of the tokens' parts: features at strides 32 and 16, each place's standardised, and names."""
        grid, parts = self.config.grid, self.config.colour_parts
        deep, fine = (F.layer_norm(m.float().movedim(1, -1), m.shape[1:2]).movedim(-1, 1)
                      for m in (stride_32, stride_16))
        return (part_columns(deep, grid, parts // 2), part_columns(fine, grid, parts),
                cell_columns(self._small(pixels), grid, parts))

    def _small(self, pixels: Tensor) -> Tensor:
        """A quarter of the frame's width and height, as uint8 again: `preprocess` undone."""
        small = F.avg_pool2d(pixels.float(), 4) * 128.0 + 127.0
        return small.round().clamp(0, 255).to(torch.uint8).movedim(1, -1)

    def _cells(self, feature_map: Tensor) -> Tensor:
        cells = F.adaptive_avg_pool2d(feature_map, self.config.grid).flatten(2).mT  # (B, grid^2, C)
        return torch.cat([cells, feature_map.mean((2, 3)).unsqueeze(1)], dim=1)


class _PretrainedXEncoder(nn.Module):
    """What encoders of the transformers library share: their pixels' mean and deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: XEncoderConfig) -> None:
        super().__init__()
        self.config = config
        for name, values in zip(("mean", "std"), PIXELS[config.pixels], strict=True):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def preprocess(self, frames: Tensor) -> Tensor:
        """RGB 0 to 255 (..., height, width, 3), already `image_size` square -> float (..., 3, height, width)."""
        return (frames.float().movedim(-1, -3) / 255.0 - self.mean.float()) / self.std.float()


class ClipXEncoder(_PretrainedXEncoder):
    """V-JEPA 2 (Assran et al., arXiv:2506.09985) through transformers: a clip is encoded whole, two frames a step."""

    frames_per_step = 2

    def __init__(self, config: XEncoderConfig) -> None:
        super().__init__(config)
        from transformers import VJEPA2Config, VJEPA2Model  # heavy, and only this size needs it

        described = VJEPA2Config(**{**_vjepa2_values(config), "attn_implementation": "sdpa"})
        if described.crop_size != config.image_size:
            raise ValueError(f"x_encoder.image_size must be {described.crop_size}, the crop_size of x_encoder.model, "
                             f"got {config.image_size}")
        self.model = VJEPA2Model(described)
        del self.model.predictor  # its own predictor, of masked patches, has no part in VL-JEPA
        self.tokens_per_step = (config.image_size // described.patch_size) ** 2
        self.dim = described.hidden_size

    def forward(self, pixels: Float[Tensor, "batch time 3 height width"]) -> Float[Tensor, "batch steps tokens dim"]:
        """Visual tokens of whole clips; a single frame is repeated to fill its step."""
        if pixels.shape[1] % 2:
            pixels = torch.cat([pixels, pixels[:, -1:]], dim=1)
        tokens = self.model(pixels, skip_predictor=True).last_hidden_state
        return tokens.unflatten(1, (-1, self.tokens_per_step))


class ImageXEncoder(_PretrainedXEncoder):
    """An image encoder of transformers, frame by frame: its patches' tokens, or the pooled embedding of each frame."""

    frames_per_step = 1
    model: Any  # whatever the configuration names
    tokens_per_step: int
    dim: int

    def __init__(self, config: XEncoderConfig) -> None:
        super().__init__(config)
        self.model = _image_model(config)
        described = self.model.config
        self._patches = (config.image_size // described.patch_size) ** 2
        self.tokens_per_step = 1 if config.pooled else self._patches
        projects = config.pooled and hasattr(self.model, "visual_projection")
        self.dim = described.projection_dim if projects else described.hidden_size

    def forward(self, pixels: Float[Tensor, "batch time 3 height width"]) -> Float[Tensor, "batch time tokens dim"]:
        """Visual tokens, row by row, without class or register tokens; or the one pooled token."""
        batch, time = pixels.shape[:2]
        said = self.model(pixel_values=pixels.flatten(0, 1))
        if self.config.pooled:
            pooled = said.image_embeds if "image_embeds" in said else said.pooler_output
            return pooled.unflatten(0, (batch, time)).unsqueeze(2)
        return said.last_hidden_state[:, -self._patches :].unflatten(0, (batch, time))


def _vjepa2_values(config: XEncoderConfig) -> dict[str, Any]:
    if config.model is not None:
        return config.model
    return {"patch_size": config.patch, "crop_size": config.image_size, "frames_per_clip": 64, "tubelet_size": 2,
            "hidden_size": config.hidden, "num_hidden_layers": config.layers, "num_attention_heads": config.heads}


def _image_model(config: XEncoderConfig) -> nn.Module:
    from transformers import AutoConfig, AutoModel, CLIPVisionModelWithProjection

    assert config.model is not None
    described = AutoConfig.for_model(**config.model)
    if not hasattr(described, "patch_size") or described.model_type.startswith("siglip2"):
        raise ValueError(f"x_encoder.model {described.model_type} is no encoder of square images into patches; "
                         "V-JEPA 2, SigLIP 2 (fixed resolution), DINOv2, DINOv3 and CLIP are")
    if config.pooled and described.model_type == "clip_vision_model":
        return CLIPVisionModelWithProjection._from_config(described, attn_implementation="sdpa")
    return AutoModel.from_config(described, attn_implementation="sdpa")


def _round_channels(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of 8, but never below 90 % of what was asked (EfficientNet's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
