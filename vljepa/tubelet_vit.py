"""A small V-JEPA-like video encoder: tubes of two frames become tokens, and a transformer relates them.

The shape of V-JEPA's encoder (Bardes et al., arXiv:2404.08471) at a few hundred thousand parameters: learned positions,
a convolutional stem in place of one large linear patch, which would outweigh everything else.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vljepa.config import XEncoderConfig

TUBE = 2  # frames a token spans
STEPS = 4  # tubes of a whole clip
MLP_RATIO = 3


class Attention(nn.Module):
    """Plain multi-head attention: at this size it trains faster on a CPU than the fused one."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, heads, N, d)
        shares = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
        return self.out((shares.to(v.dtype) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each normalised before and added after."""

    def __init__(self, dim: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads)
        self.norm2, self.up, self.down = nn.LayerNorm(dim), nn.Linear(dim, mlp), nn.Linear(mlp, dim)

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class TubeletXEncoder(nn.Module):
    """Clips of up to eight frames -> a token of each `patch` x `patch` place, with all that was there in time.

    Inside there is a token of each place and each tube of two frames. Outside the four of a place are one, side by
    side: what changes there is then a difference within a token, which the small networks behind learn soonest.
    """

    frames_per_step = TUBE * STEPS
    token_mean: Tensor
    token_std: Tensor

    def __init__(self, config: XEncoderConfig) -> None:
        super().__init__()
        self.config, self.places = config, config.image_size // config.patch
        self.dim = 2 * config.hidden * STEPS
        self.tokens_per_step = self.places**2
        inner = config.patch // 4
        self.stem = nn.Sequential(nn.Conv2d(3 * TUBE, config.hidden // 3, 4, stride=4), nn.GELU(),
                                  nn.Conv2d(config.hidden // 3, config.hidden, inner, stride=inner))
        self.place = nn.Parameter(torch.randn(self.tokens_per_step, config.hidden) * 0.1)
        self.time = nn.Parameter(torch.randn(STEPS, config.hidden) * 0.1)
        mlp = MLP_RATIO * config.hidden
        self.blocks = nn.ModuleList(Block(config.hidden, config.heads, mlp) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.hidden)
        # standardise each dimension over the world, as the larger encoder does over photos
        self.register_buffer("token_mean", torch.zeros(self.dim))
        self.register_buffer("token_std", torch.ones(self.dim))

    def preprocess(self, frames: Tensor) -> Tensor:
        """uint8 RGB (..., height, width, 3), already `image_size` square -> float (..., 3, height, width)."""
        # bytes are moved before they grow, and changed in place: memory is what this costs
        return frames.movedim(-1, -3).contiguous().float().div_(127.5).sub_(1.0)

    def forward(self, pixels: Float[Tensor, "batch time 3 height width"]) -> Float[Tensor, "batch steps tokens dim"]:
        """Visual tokens of clips, one step: what a place looks like by itself, beside what the blocks made of it.

        A clip shorter than eight frames begins with its first frame, repeated.
        """
        missing = TUBE * STEPS - pixels.shape[1]
        assert missing >= 0, f"a clip holds {TUBE * STEPS} frames at most, got {pixels.shape[1]}"
        if missing:
            pixels = torch.cat([pixels[:, :1].expand(-1, missing, -1, -1, -1), pixels], dim=1)
        alone = self._alone(pixels)
        related = self.encode(self._placed(alone)).unflatten(1, (STEPS, -1))
        both = torch.cat([F.layer_norm(alone, alone.shape[-1:]), related], dim=-1).float()  # (B, steps, places, 2 D)
        # ground and light are the same all over a frame: without them a small thing is no longer a small difference
        both = both - both.mean(dim=2, keepdim=True)
        folded = both.transpose(1, 2).flatten(2).unsqueeze(1)  # (B, 1, places, steps 2 D)
        return ((folded - self.token_mean) / self.token_std).clamp(-10.0, 10.0)

    def embed(self, pixels: Float[Tensor, "batch 8 3 height width"]) -> Float[Tensor, "batch tokens dim"]:
        """Tokens of each tube and place with their positions, before any of them knows of another."""
        return self._placed(self._alone(pixels))

    def depths(self, pixels: Float[Tensor, "batch 8 3 height width"]) -> Float[Tensor, "batch tokens features"]:
        """What V-JEPA predicts of each tube and place: its token before the blocks, and after them."""
        alone = self.embed(pixels)
        return torch.cat([F.layer_norm(alone, alone.shape[-1:]), self.encode(alone)], dim=-1)

    def _alone(self, pixels: Tensor) -> Tensor:
        tubes = pixels.unflatten(1, (STEPS, TUBE)).flatten(2, 3).flatten(0, 1)  # (B steps, 6, H, W)
        return self.stem(tubes).flatten(2).mT.unflatten(0, (-1, STEPS))  # (B, steps, places, D)

    def _placed(self, tokens: Tensor) -> Tensor:
        return (tokens + self.place + self.time[:, None]).flatten(1, 2)

    def encode(
        self, tokens: Float[Tensor, "batch tokens dim"], kept: Int[Tensor, " kept"] | None = None
    ) -> Float[Tensor, "batch kept dim"]:
        """Relate tokens to each other; with `kept` only those take part, as if the others were never seen."""
        x = tokens if kept is None else tokens[:, kept]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
