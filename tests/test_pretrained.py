"""Encoders of the transformers library as parts of a model: small ones, against that library's own computation."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModel,
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    DINOv3ViTConfig,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    VJEPA2Config,
)

from vljepa.config import PredictorConfig, XEncoderConfig, YEncoderConfig
from vljepa.photo import fit
from vljepa.predictor import MeanPredictor, build_predictor
from vljepa.text import pad
from vljepa.x_encoder import build_x_encoder
from vljepa.y_encoder import build_y_encoder

SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
ENCODERS = {
    "dinov2": Dinov2Config(**SMALL, image_size=28, patch_size=14),
    "dinov3": DINOv3ViTConfig(**SMALL, image_size=32, patch_size=16, num_register_tokens=4),
    "siglip2": SiglipVisionConfig(**SMALL, image_size=32, patch_size=16),
}


def frames(side, count=2):
    return np.random.default_rng(0).integers(0, 256, (1, count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ENCODERS)
def test_any_image_encoder_gives_its_patches_tokens(name):
    torch.manual_seed(0)
    described = ENCODERS[name]
    values = described.to_dict()
    encoder = build_x_encoder(XEncoderConfig("transformers", described.image_size, model=values, pixels="half"))
    shown = torch.from_numpy(frames(described.image_size))
    tokens = encoder(encoder.preprocess(shown))
    assert tokens.shape == (1, 2, 4, 24)
    pixels = (shown[0].permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    reference = AutoModel.from_config(described).eval()
    reference.load_state_dict(encoder.model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(tokens[0], reference(pixel_values=pixels).last_hidden_state[:, -4:])


def test_a_clip_encoder_can_be_named_by_its_own_configuration():
    values = VJEPA2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, crop_size=32).to_dict()
    encoder = build_x_encoder(XEncoderConfig("transformers", 32, model=values))
    assert encoder(encoder.preprocess(torch.from_numpy(frames(32, 4)))).shape == (1, 2, 4, 24)
    assert not [name for name, _ in encoder.named_parameters() if "predictor" in name]
    with pytest.raises(ValueError, match="must be 32, the crop_size"):
        build_x_encoder(XEncoderConfig("transformers", 64, model=values))


def test_what_is_no_patch_encoder_is_refused():
    with pytest.raises(ValueError, match="no encoder of square images"):
        build_x_encoder(XEncoderConfig("transformers", 32, model={
            "model_type": "resnet", "depths": [1, 1], "hidden_sizes": [8, 8], "embedding_size": 8,
            "layer_type": "basic"}))
    with pytest.raises(ValueError, match="with its model_type"):
        XEncoderConfig("transformers", 32, model={"hidden_size": 3})


def joint(kind):
    torch.manual_seed(0)
    text = {**SMALL, "vocab_size": 60, "max_position_embeddings": 8, "eos_token_id": 59, "pad_token_id": 0}
    vision = {**SMALL, "image_size": 32, "patch_size": 16}
    if kind == "clip":
        text, vision = {**text, "projection_dim": 16}, {**vision, "projection_dim": 16}
        return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).eval()
    return SiglipModel(SiglipConfig(text_config={**text, "projection_size": 24}, vision_config=vision)).eval()


@pytest.mark.parametrize("kind", ["clip", "siglip2"])
def test_both_sides_of_a_joint_embedding_are_that_librarys(kind):
    reference = joint(kind)
    x_values, y_values = (c.to_dict() for c in (reference.config.vision_config, reference.config.text_config))
    x = build_x_encoder(XEncoderConfig("transformers", 32, model=x_values, pooled=True, pixels="clip"))
    y = build_y_encoder(YEncoderConfig("transformers", vocabulary=60, max_tokens=8, model=y_values), 16).eval()
    copy_from(reference, x.model, "vision_model")
    copy_from(reference, y.model, "text_model")
    shown = torch.from_numpy(frames(32, 3))
    tokens, ids = x(x.preprocess(shown)), [[5, 6, 7, 59], [8, 59]]
    padded, mask = pad(ids)
    with torch.no_grad():
        pixels = x.preprocess(shown)[0]
        wanted = reference.get_image_features(pixel_values=pixels).pooler_output
        torch.testing.assert_close(tokens[0, :, 0], wanted, atol=1e-5, rtol=1e-5)
        window = build_predictor(PredictorConfig("mean"), x.dim, 1, x.dim)(tokens)[0]
        torch.testing.assert_close(window, F.normalize(wanted, dim=-1).mean(0), atol=1e-5, rtol=1e-5)
        long = torch.zeros(2, 8, dtype=torch.long)  # the padding that SigLIP was trained with
        long[:, :4] = padded
        options = {"attention_mask": mask.long()} if kind == "clip" else {}
        text = reference.get_text_features(input_ids=padded if kind == "clip" else long, **options).pooler_output
        torch.testing.assert_close(y(padded, mask), text, atol=1e-5, rtol=1e-5)


def copy_from(reference, part, prefix):
    state = reference.state_dict()
    own = {name.removeprefix(f"{prefix}."): tensor for name, tensor in state.items() if name.startswith(f"{prefix}.")}
    found = {}
    for name in part.state_dict():
        found[name] = own[name.removeprefix(f"{prefix}.")] if name.removeprefix(f"{prefix}.") in own else state[name]
    part.load_state_dict(found)


def test_a_joint_embedding_must_live_in_the_shared_space():
    assert isinstance(build_predictor(PredictorConfig("mean"), 16, 1, 16), MeanPredictor)
    with pytest.raises(ValueError, match="needs visual tokens of the shared space's 8"):
        build_predictor(PredictorConfig("mean"), 16, 1, 8)


@pytest.mark.parametrize(("height", "width"), [(40, 64), (64, 40), (33, 33), (100, 37)])
def test_a_cropped_frame_keeps_its_aspect_and_its_middle(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    square = fit(image, XEncoderConfig("vjepa2", 32, fit="crop_bilinear"))
    assert square.shape == (32, 32, 3)
    long = int(32 * max(height, width) / min(height, width))
    size = (32, long) if width > height else (long, 32)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    whole = F.interpolate(pixels, size, mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()
    start = round((long - 32) / 2)
    middle = whole[:, start : start + 32] if width > height else whole[start : start + 32]
    np.testing.assert_allclose(square / 255, middle, atol=1e-6)


def test_a_fit_that_is_none_is_refused():
    with pytest.raises(ValueError, match="must be one of squash"):
        XEncoderConfig(fit="stretch")
    with pytest.raises(ValueError, match="must be one of imagenet"):
        XEncoderConfig(pixels="cifar")
