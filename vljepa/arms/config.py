"""The common budget of the five arms, in one place: what is compared differs in its target, and in nothing here."""

from dataclasses import dataclass

from vljepa.config import ModelConfig, PredictorConfig, XEncoderConfig, YDecoderConfig, YEncoderConfig
from vljepa.train.loop import Schedule


@dataclass(frozen=True)
class Budget:
    """`text` is shared by the three arms that know text; V-JEPA comes first, for its encoder is theirs, frozen.

    `repeat` is a shorter `text`, run with several seeds, to see how much of a difference is luck.
    """

    vjepa: Schedule
    text: Schedule
    repeat: Schedule
    flow: Schedule
    collapse: Schedule  # the runs that show what happens without the anti-collapse term
    decoder: Schedule  # the read-out of embeddings as sentences, trained on text alone
    vjepa_batch: int = 64
    batch: int = 128
    flow_batch: int = 32
    watched: int = 300  # held-out clips and puzzles that the curves are measured on
    probed: int = 1600  # clips from which a linear probe learns
    pool: int = 12288  # clips that are encoded once for the text arms, and as many pairs of before and after
    seed: int = 1  # of the runs that are shipped: their first weights, and the order of what they see
    repeat_seeds: tuple[int, ...] = (1, 2, 3)
    data_seed: int = 7  # of every clip that is trained on


FULL = Budget(
    vjepa=Schedule(steps=600, learning_rate=2e-3, warmup=0.1, weight_decay=0.02, save_every=50, validate_every=100),
    text=Schedule(steps=2400, learning_rate=1.5e-3, weight_decay=0.02, save_every=100, validate_every=400),
    repeat=Schedule(steps=500, learning_rate=1.5e-3, weight_decay=0.02, save_every=100, validate_every=125),
    flow=Schedule(steps=1200, learning_rate=2e-3, weight_decay=0.0, save_every=50, validate_every=200),
    collapse=Schedule(steps=160, learning_rate=1.5e-3, weight_decay=0.02, save_every=100, validate_every=50),
    decoder=Schedule(steps=200, learning_rate=4e-3, weight_decay=0.01, save_every=100, validate_every=300),
)
SHAPES = ModelConfig(
    name="shapes",
    x_encoder=XEncoderConfig(architecture="tubelet_vit", image_size=64, grid=4, hidden=96, layers=3, heads=4, patch=16),
    predictor=PredictorConfig(hidden=96, layers=2, heads=4, key_value_heads=4, mlp=192, vocabulary=128,
                              window_frames=8, query_length=16, pool="max", dropout=0.0, drop_tokens=0.0),
    y_encoder=YEncoderConfig(hidden=64, layers=1, heads=4, key_value_heads=4, mlp=128, vocabulary=128, max_tokens=24),
    y_decoder=YDecoderConfig(hidden=96, layers=2, heads=4, mlp=192, vocabulary=128, prefix=2, max_tokens=24,
                             dropout=0.0),
    embed_dim=64,
    rate_hz=4.0,
    caption_query="describe the clip.",
)
