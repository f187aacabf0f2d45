"""What a VL-JEPA is made of, as frozen dataclasses: saved beside the weights, unknown keys rejected.

Parts and sizes follow VL-JEPA (Chen et al., arXiv:2512.10942), section 3. The same classes serve every
size: `EVERYDAY` runs on a laptop, `PAPER` is the published model, `SMOKE` trains in seconds.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal, TypeVar

C = TypeVar("C", bound="_Config")  # not Self: the tests' shape checker sees methods without their class


@dataclass(frozen=True)
class _Config:
    """Reads itself from a dictionary, refusing what it does not know."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` inverts it."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[C], values: dict[str, Any]) -> C:
        """Build from `values`; ValueError names the keys that are unknown or missing."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{cls.__name__} has no {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"{cls.__name__} is incomplete: {error}") from None


def _require(holds: bool, requirement: str, actual: object) -> None:
    if not holds:
        raise ValueError(f"{requirement}, got {actual}")


def attention(hidden: int) -> str:
    """The attention that transformers should use at this width: small models on a CPU train 2.5 times faster without
    the fused one, whose backward pass is slow on short sequences."""
    return "eager" if hidden < 1024 else "sdpa"


# how a frame becomes the X-Encoder's square: `squash` gives up the aspect, in the reader's quick way; the others are
# antialiased as torchvision's resize is, and `crop` keeps the aspect: the short side is fitted, the centre cut out
FITS = ("squash", "squash_bilinear", "crop_bilinear", "crop_bicubic")
PIXELS = {  # mean and deviation of red, green and blue, of pixels from 0 to 1
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


@dataclass(frozen=True)
class XEncoderConfig(_Config):
    """The frozen vision encoder.

    `efficientnet_lite` encodes frames one by one, `grid` x `grid` cells and the whole frame each; `vjepa2` encodes a
    clip, two frames a step, and so does `tubelet_vit`, its likeness in small. `transformers` is any encoder of that
    library which gives tokens, described by `model` as its own config.json is (V-JEPA 2, SigLIP 2, DINOv2, DINOv3,
    CLIP); `repository` says where its weights come from.
    """

    architecture: Literal["efficientnet_lite", "vjepa2", "tubelet_vit", "transformers"] = "efficientnet_lite"
    image_size: int = 256  # pixels
    fit: str = "squash"  # how a frame becomes a square: one of `FITS`
    pixels: str = "imagenet"  # mean and deviation that a pretrained encoder expects: one of `PIXELS`
    model: dict[str, Any] | None = None  # transformers: the encoder's own configuration, with its `model_type`
    repository: str = ""  # the hub repository that its weights are fetched from
    pooled: bool = False  # transformers: one token a frame, the embedding that the model was trained to compare
    grid: int = 4
    width: float = 1.1  # efficientnet_lite: channel multiplier; 1.1 and depth 1.2 make Lite2
    depth: float = 1.2
    classes: int = 1000
    colour_parts: int = 0  # efficientnet_lite: each cell's colours, in this many by this many parts; even, 0: none
    class_dim: int = 384  # size of the class-name embeddings that the class posterior is read through
    hidden: int = 1024  # vjepa2 and tubelet_vit: width, layers, heads of the ViT; ViT-L by default
    layers: int = 24
    heads: int = 16
    patch: int = 16

    def __post_init__(self) -> None:
        known = ("efficientnet_lite", "vjepa2", "tubelet_vit", "transformers")
        _require(self.architecture in known, f"x_encoder.architecture must be one of {', '.join(known)}",
                 self.architecture)
        _require(self.architecture != "efficientnet_lite" or self.image_size % 32 == 0,
                 "x_encoder.image_size must be a multiple of 32 pixels", self.image_size)
        _require(self.fit in FITS, f"x_encoder.fit must be one of {', '.join(FITS)}", self.fit)
        _require(self.pixels in PIXELS, f"x_encoder.pixels must be one of {', '.join(PIXELS)}", self.pixels)
        _require(self.architecture != "transformers" or "model_type" in (self.model or {}) or bool(self.repository),
                 "x_encoder.model must be the encoder's own configuration, with its model_type, or x_encoder.repository"
                 " must name one", self.model)
        _require(self.grid >= 1, "x_encoder.grid must be at least 1", self.grid)
        _require(self.colour_parts % 2 == 0, "x_encoder.colour_parts must be even", self.colour_parts)


@dataclass(frozen=True)
class PredictorConfig(_Config):
    """Bidirectional Llama blocks over visual tokens, then query tokens (section 3.1).

    `mean` has no parameters and no query: it is what a joint embedding (CLIP, SigLIP) makes of a window, the mean of
    its frames' embeddings.
    """

    architecture: Literal["llama", "mean"] = "llama"
    hidden: int = 384
    layers: int = 3
    heads: int = 6
    key_value_heads: int = 6
    mlp: int = 768
    vocabulary: int = 30522
    window_frames: int = 3  # frames a prediction sees at most
    query_length: int = 32  # query tokens at most; longer queries are refused
    rope_theta: float = 10000.0
    rope_scaling: Literal["none", "llama3"] = "none"
    norm_epsilon: float = 1e-6
    pool: Literal["mean", "max"] = "mean"  # over positions; "max" finds a small thing in a few steps of training
    learned_positions: bool = True  # add a vector for each place and each time to the visual tokens
    dropout: float = 0.2
    drop_tokens: float = 0.25  # share of visual tokens left out while training

    def __post_init__(self) -> None:
        _require(self.architecture in ("llama", "mean"), "predictor.architecture must be llama or mean",
                 self.architecture)
        _require(self.rope_scaling in ("none", "llama3"), "predictor.rope_scaling must be none or llama3",
                 self.rope_scaling)
        _require(self.hidden % self.heads == 0, "predictor.hidden must divide by predictor.heads", self.hidden)
        _require(self.heads % self.key_value_heads == 0,
                 "predictor.heads must divide by predictor.key_value_heads", self.key_value_heads)
        _require(self.window_frames >= 1, "predictor.window_frames must be at least 1", self.window_frames)


@dataclass(frozen=True)
class YEncoderConfig(_Config):
    """The text encoder that makes the targets: `bert` is MiniLM's architecture, `gemma3` EmbeddingGemma's.

    `transformers` is the text side of a joint embedding of that library, described by `model` as its own config.json
    is; it pools and projects by itself, and of the sizes here only `vocabulary` and `max_tokens` are read.
    """

    architecture: Literal["bert", "gemma3", "transformers"] = "bert"
    hidden: int = 384
    layers: int = 6
    heads: int = 12
    key_value_heads: int = 12
    mlp: int = 1536
    vocabulary: int = 30522
    max_tokens: int = 64
    model: dict[str, Any] | None = None  # transformers: the encoder's own configuration, with its `model_type`

    def __post_init__(self) -> None:
        known = ("bert", "gemma3", "transformers")
        _require(self.architecture in known, f"y_encoder.architecture must be one of {', '.join(known)}",
                 self.architecture)
        _require(self.architecture != "transformers" or "model_type" in (self.model or {}),
                 "y_encoder.model must be the encoder's own configuration, with its model_type", self.model)
        _require(self.architecture != "bert" or self.hidden % self.heads == 0,
                 "y_encoder.hidden must divide by y_encoder.heads", self.hidden)


@dataclass(frozen=True)
class YDecoderConfig(_Config):
    """The small autoregressive reader: an embedding becomes `prefix` tokens, then words follow."""

    hidden: int = 320
    layers: int = 4
    heads: int = 5
    mlp: int = 864
    vocabulary: int = 6000
    prefix: int = 4
    max_tokens: int = 32
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _require(self.hidden % self.heads == 0, "y_decoder.hidden must divide by y_decoder.heads", self.hidden)


@dataclass(frozen=True)
class ModelConfig(_Config):
    """One VL-JEPA. `embed_dim` is the shared space in which predictions and texts are compared."""

    name: str
    x_encoder: XEncoderConfig
    predictor: PredictorConfig
    y_encoder: YEncoderConfig
    y_decoder: YDecoderConfig | None
    embed_dim: int = 384
    rate_hz: float = 4.0  # frames a second that the model was made for
    caption_query: str = ""  # the query that captions are predicted with; empty: query-free
    parts: ClassVar[dict[str, type[_Config]]] = {
        "x_encoder": XEncoderConfig,
        "predictor": PredictorConfig,
        "y_encoder": YEncoderConfig,
        "y_decoder": YDecoderConfig,
    }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """Build from nested dictionaries as `to_dict` makes them; ValueError on anything unknown."""
        nested = {k: cls.parts[k].from_dict(v) if k in cls.parts and v is not None else v for k, v in values.items()}
        return super().from_dict(nested)


EVERYDAY = ModelConfig(
    name="everyday",
    x_encoder=XEncoderConfig(colour_parts=4),
    predictor=PredictorConfig(),
    y_encoder=YEncoderConfig(),
    y_decoder=YDecoderConfig(),
    caption_query="Describe this video in one sentence.",
)
PAPER = ModelConfig(
    name="paper",
    x_encoder=XEncoderConfig(architecture="vjepa2", image_size=256, grid=16, fit="crop_bilinear"),
    predictor=PredictorConfig(hidden=2048, layers=8, heads=32, key_value_heads=8, mlp=8192, vocabulary=128256,
                              window_frames=16, query_length=512, rope_theta=500000.0, rope_scaling="llama3",
                              norm_epsilon=1e-5, learned_positions=False, dropout=0.0, drop_tokens=0.0),
    y_encoder=YEncoderConfig(architecture="gemma3", hidden=768, layers=24, heads=3, key_value_heads=1, mlp=1152,
                             vocabulary=262144, max_tokens=512),
    y_decoder=YDecoderConfig(hidden=1024, layers=8, heads=16, mlp=2816, vocabulary=128256, max_tokens=128),
    embed_dim=1536,
    caption_query="Describe this video in one sentence.",
)
OPEN_VLJEPA = ModelConfig(  # the community's weights; see `vljepa.public`
    name="open-vljepa",
    x_encoder=XEncoderConfig(architecture="vjepa2", grid=16, fit="crop_bilinear",
                             repository="facebook/vjepa2-vitl-fpc64-256"),
    predictor=replace(PAPER.predictor, window_frames=8, query_length=64),
    y_encoder=PAPER.y_encoder,
    y_decoder=None,
    embed_dim=1536,
    caption_query="Describe the video.",
)
SMOKE = ModelConfig(
    name="smoke",
    x_encoder=XEncoderConfig(image_size=64, grid=2, width=0.25, depth=0.5, classes=16, class_dim=48, colour_parts=2),
    predictor=PredictorConfig(hidden=64, layers=2, heads=4, key_value_heads=4, mlp=128, vocabulary=512,
                              dropout=0.0),
    y_encoder=YEncoderConfig(hidden=48, layers=2, heads=4, key_value_heads=4, mlp=96, vocabulary=512, max_tokens=32),
    y_decoder=YDecoderConfig(hidden=64, layers=2, heads=4, mlp=128, vocabulary=512, dropout=0.0),
    embed_dim=64,
    caption_query="Describe this video in one sentence.",
)
CONFIGS = {config.name: config for config in (EVERYDAY, PAPER, SMOKE)}
