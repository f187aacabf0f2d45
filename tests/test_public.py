"""Public weights: small stand-ins with the real files' names and layout, on a shelf that stands in for the hub."""

import errno
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import httpx2
import numpy as np
import pytest
import torch
from huggingface_hub import constants, errors
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    Gemma3TextConfig,
    Gemma3TextModel,
    LlamaConfig,
    LlamaModel,
    SiglipConfig,
    SiglipModel,
    VJEPA2Config,
    VJEPA2Model,
)

import vljepa
from vljepa import CheckpointError, checkpoint, hub, public
from vljepa.__main__ import main
from vljepa.bench_shared import write_video
from vljepa.config import OPEN_VLJEPA, XEncoderConfig

WORDS = ["a", "boy", "cat", "dog", "runs", "sits", "describe", "the", "video", "person", "what", "is", "."]
TEXTS = [f"a {who} {does} {n}" for n in ("", "the", "video", "what") for who in ("boy", "cat", "dog")
         for does in ("runs", "sits", "is")]
SMALL = replace(
    OPEN_VLJEPA,
    x_encoder=replace(OPEN_VLJEPA.x_encoder, image_size=32, hidden=24, layers=2, heads=2),
    predictor=replace(OPEN_VLJEPA.predictor, hidden=64, heads=8, key_value_heads=2, mlp=96, layers=3, vocabulary=40),
    y_encoder=replace(OPEN_VLJEPA.y_encoder, hidden=48, layers=6, mlp=40, vocabulary=30),
    embed_dim=20,
)


def tokenizer(begin, end=(), more=()):
    words = ["<pad>", "<unk>", *begin, *end, *more, *WORDS]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([word for word in words if word.startswith("<")])
    template = " ".join([*begin, "$A", *end])
    made.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(t, made.token_to_id(t)) for t in (*begin, *end)])
    return made


def keep(made, folder):
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))


def keep_joint_embeddings(root):
    """CLIP and SigLIP 2, small, as they lie on the hub."""
    small = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    text = {**small, "vocab_size": 30, "max_position_embeddings": 16}
    vision = {**small, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config={**text, "projection_dim": 20, "eos_token_id": 3},
                         vision_config={**vision, "projection_dim": 20}, projection_dim=20,
                         )).save_pretrained(root / "openai/clip-vit-base-patch32")
    SiglipModel(SiglipConfig(text_config={**text, "projection_size": 24}, vision_config=vision)).save_pretrained(
        root / "google/siglip2-base-patch16-224")
    keep(tokenizer(["<s>"], ["</s>"]), root / "openai/clip-vit-base-patch32")
    keep(tokenizer([], ["</s>"]), root / "google/siglip2-base-patch16-224")


class Reference:
    """open-vljepa by transformers alone, written from its description, and its weights in the real file's layout."""

    def __init__(self):
        torch.manual_seed(0)
        rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
        self.llama = LlamaModel(LlamaConfig(
            vocab_size=40, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=8,
            num_key_value_heads=2, rms_norm_eps=1e-5, rope_parameters=rope, max_position_embeddings=131072)).eval()
        self.gemma = Gemma3TextModel(Gemma3TextConfig(
            vocab_size=30, hidden_size=48, intermediate_size=40, num_hidden_layers=6, num_attention_heads=3,
            num_key_value_heads=1, head_dim=256, query_pre_attn_scalar=256, sliding_window=512,
            use_bidirectional_attention=True)).eval()
        self.vjepa = VJEPA2Model(VJEPA2Config(crop_size=32, hidden_size=24, num_hidden_layers=2, num_attention_heads=2,
                                              pred_hidden_size=24, pred_num_attention_heads=2,
                                              pred_num_hidden_layers=1)).eval()
        self.vis_proj, self.out_proj = torch.nn.Linear(24, 64), torch.nn.Linear(64, 20)
        self.projector = torch.nn.Linear(48, 20)
        for parameter in self.llama.parameters():  # fresh norms are all ones: a mix-up would not show
            parameter.data += 0.05 * torch.randn_like(parameter)

    def best_pt(self):
        state = {f"predictor.{name}": tensor for name, tensor in self.llama.state_dict().items()}
        state |= {f"y_encoder.model.{name}": tensor for name, tensor in self.gemma.state_dict().items()}
        for prefix, layer in (("predictor.vis_proj", self.vis_proj), ("predictor.out_proj", self.out_proj),
                              ("y_encoder.projector", self.projector)):
            state |= {f"{prefix}.{name}": tensor for name, tensor in layer.state_dict().items()}
        return {"epoch": 3, "model_state_dict": state, "loss": 0.5, "config": {"lr": 1e-4}}

    @torch.no_grad()
    def embed(self, frames, query_ids, pad):
        chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, 8).astype(int)]
        pixels = torch.stack([torch.from_numpy(f) for f in chosen]).permute(0, 3, 1, 2).float() / 255
        height, width = pixels.shape[-2:]
        size = (32, int(32 * width / height)) if height < width else (int(32 * height / width), 32)
        pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True)
        top, left = (round((side - 32) / 2) for side in size)
        pixels = pixels[..., top : top + 32, left : left + 32]
        pixels = (pixels - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]).view(3, 1, 1)
        visual = self.vis_proj(self.vjepa(pixels[None], skip_predictor=True).last_hidden_state)
        ids = torch.full((1, 64), pad)
        ids[0, : len(query_ids)] = torch.tensor(query_ids)
        sequence = torch.cat([visual, self.llama.embed_tokens(ids)], dim=1)
        seen = torch.ones(1, sequence.shape[1], dtype=torch.bool)
        seen[:, visual.shape[1] + len(query_ids) :] = False
        both_ways = torch.zeros(1, 1, 1, sequence.shape[1]).masked_fill(~seen, torch.finfo(torch.float32).min)
        hidden = self.llama(inputs_embeds=sequence, attention_mask=both_ways.expand(-1, -1, sequence.shape[1], -1),
                            position_ids=torch.arange(sequence.shape[1])[None]).last_hidden_state
        return F.normalize(self.out_proj(hidden[seen].mean(0)), dim=-1).numpy()

    @torch.no_grad()
    def embed_text(self, ids):
        hidden = self.gemma(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))).last_hidden_state
        return F.normalize(self.projector(hidden[0].mean(0)), dim=-1).numpy()


@pytest.fixture(scope="module")
def reference():
    return Reference()


@pytest.fixture(scope="module")
def shelf(reference, tmp_path_factory):
    """The hub as a folder, with every file that the three public checkpoints need."""
    root = tmp_path_factory.mktemp("hub")
    (root / "cun-bjy/open-vljepa").mkdir(parents=True)
    torch.save(reference.best_pt(), root / "cun-bjy/open-vljepa/best.pt")
    reference.vjepa.save_pretrained(root / "facebook/vjepa2-vitl-fpc64-256")
    keep(tokenizer(["<|begin_of_text|>"], more=["<|finetune_right_pad_id|>"]), root / "unsloth/Llama-3.2-1B")
    keep(tokenizer(["<bos>"], ["<eos>"]), root / "unsloth/embeddinggemma-300m")
    keep_joint_embeddings(root)
    return root


@pytest.fixture
def small(shelf, tmp_path, monkeypatch):
    """The real names, the stand-ins' sizes, a cache of one's own, a small bank and no map."""
    monkeypatch.setenv("VLJEPA_HUB", str(shelf))
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path))
    monkeypatch.setattr(public, "OPEN_VLJEPA", SMALL)
    monkeypatch.setattr(public, "_sentences", lambda: TEXTS)
    monkeypatch.setattr(public, "_photos", lambda: list(clip(3)))
    monkeypatch.setattr("vljepa.train.bank.build_landmarks", lambda *_, **__: None)
    return tmp_path


def clip(count, height=40, width=64):
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def load(name="open-vljepa"):
    return vljepa.load(name, device="cpu", dtype="float32")


@pytest.mark.usefixtures("small")
def test_open_vljepa_is_what_its_description_computes(reference, capsys):
    model = load()
    assert "Community License" in capsys.readouterr().err
    ids = model.query_tokenizer.ids(["Describe the video."])[0]
    pad = tokenizer(["<|begin_of_text|>"], more=["<|finetune_right_pad_id|>"]).token_to_id("<|finetune_right_pad_id|>")
    assert ids[0] == 2
    for frames in (clip(11), clip(8, 64, 40)):
        wanted = reference.embed(list(frames), ids, pad)
        np.testing.assert_allclose(model.embed_clip(list(frames)), wanted, atol=1e-4)
    asked = model.query_tokenizer.ids(["what is the dog ."])[0]
    np.testing.assert_allclose(model.embed_clip(list(clip(9)), "what is the dog ."),
                               reference.embed(list(clip(9)), asked, pad), atol=1e-4)
    for text, found in zip(TEXTS[:5], model.embed_text(TEXTS[:5]), strict=True):
        np.testing.assert_allclose(found, reference.embed_text(model.text_tokenizer.ids([text])[0]), atol=1e-4)


def test_it_streams_and_reads_captions_from_the_bank(small):
    film = small / "bars.mp4"
    write_video(film, 5.0)
    model = load()
    assert model.readouts == ("bank",)
    analysis = vljepa.analyze(model, film)
    assert analysis.segments[0].caption in TEXTS
    assert len(analysis.trajectory.times_s) == 20
    with vljepa.open_video(film) as video:
        frames = [frame.image for frame in video.frames(4.0)]
    np.testing.assert_allclose(analysis.trajectory.embeddings[-1], model.embed_clip(frames[-8:]), atol=1e-5)


def test_afterwards_neither_hub_nor_network_is_needed(small, monkeypatch):
    once = load().embed_text(TEXTS[:2])
    monkeypatch.setenv("VLJEPA_HUB", str(small / "gone"))
    np.testing.assert_array_equal(load().embed_text(TEXTS[:2]), once)
    assert "open-vljepa" in {info.name for info in vljepa.list_checkpoints()}
    assert {f.suffix for f in (small / "checkpoints/open-vljepa").iterdir()} <= {".safetensors", ".json", ".txt", ".md"}


@pytest.mark.parametrize(("change", "told"), [
    (lambda state: state.pop("predictor.norm.weight"), r"it lacks predictor\.norm\.weight"),
    (lambda state: state.update({"x_encoder.model.a": torch.zeros(1)}), r"has unexpected x_encoder\.model\.a"),
    (lambda state: state.update({"y_encoder.projector.bias": torch.zeros(3)}),
     r"y_encoder\.projector\.bias must be \(20,\) but is \(3,\)"),
    (lambda state: [state.pop(name) for name in list(state) if "layers.2" in name], r"it lacks .* and \d+ more"),
])
def test_a_tensor_that_does_not_fit_is_named(change, told, small, reference, shelf, monkeypatch):
    read = reference.best_pt()
    change(read["model_state_dict"])
    changed = shutil.copytree(shelf, small / "hub")
    torch.save(read, changed / "cun-bjy/open-vljepa/best.pt")
    monkeypatch.setenv("VLJEPA_HUB", str(changed))
    with pytest.raises(CheckpointError, match=told):
        load()
    assert not (small / "checkpoints/open-vljepa").exists()
    assert list((small / "checkpoints").iterdir()) == []


def test_a_file_that_is_no_plain_tensors_is_refused(small, shelf, monkeypatch):
    changed = shutil.copytree(shelf, small / "hub")
    monkeypatch.setenv("VLJEPA_HUB", str(changed))
    best = changed / "cun-bjy/open-vljepa/best.pt"
    best.write_bytes(best.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a whole file of tensors alone"):
        load()
    torch.save({"model_state_dict": SimpleNamespace()}, best)  # something to execute
    with pytest.raises(CheckpointError, match="not a whole file of tensors alone"):
        load()
    torch.save({"weights": {}}, best)
    with pytest.raises(CheckpointError, match="no model_state_dict"):
        load()


def test_the_tokenizers_can_be_chosen_and_are_checked(small, shelf, monkeypatch):
    changed = shutil.copytree(shelf, small / "hub")
    monkeypatch.setenv("VLJEPA_HUB", str(changed))
    shutil.move(changed / "unsloth", changed / "mine")
    with pytest.raises(CheckpointError, match=r"no unsloth/Llama-3\.2-1B in"):
        load()
    monkeypatch.setenv("VLJEPA_TOKENIZERS", "mine/Llama-3.2-1B, mine/embeddinggemma-300m")
    assert load().query_tokenizer.ids(["a"])[0][0] == 2
    shutil.rmtree(small / "checkpoints")
    monkeypatch.setenv("VLJEPA_TOKENIZERS", "mine/embeddinggemma-300m,mine/embeddinggemma-300m")
    with pytest.raises(CheckpointError, match=r"is not Llama 3\.2's"):
        load()
    monkeypatch.setenv("VLJEPA_TOKENIZERS", "one")
    with pytest.raises(CheckpointError, match="must name two repositories"):
        load()


@pytest.mark.usefixtures("small")
def test_the_command_fetches_with_tokenizers_of_choice(shelf, capsys):
    (shelf / "other").mkdir(exist_ok=True)
    shutil.copytree(shelf / "unsloth/Llama-3.2-1B", shelf / "other/llama", dirs_exist_ok=True)
    words = ["fetch", "open-vljepa", "--tokenizers", "other/llama", "unsloth/embeddinggemma-300m", "--device", "cpu"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "open-vljepa" in told.out
    assert "Embedding the caption bank" in told.err
    assert main(["checkpoints"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "GB to fetch" in lines["clip"]
    assert "MIT" in lines["clip"]
    assert "to fetch" not in lines["open-vljepa"]
    assert main(["fetch", "nobody"]) == 2
    assert "no public checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["clip", "siglip2"])
def test_a_joint_embedding_answers_like_any_checkpoint(name, small):
    film = small / "bars.mp4"
    write_video(film, 3.0)
    model = load(name)
    assert not model.answers_queries
    assert load("open-vljepa").answers_queries
    analysis = vljepa.analyze(model, film)
    assert analysis.segments[0].caption in TEXTS
    asked = model.embed(film, query="what is the dog").collect()
    np.testing.assert_array_equal(asked.embeddings, analysis.trajectory.embeddings)
    texts = model.embed_text(["A Dog runs", "a cat sits the video"])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.embed_text(["A Dog runs"]), texts[:1], atol=1e-5)
    if name == "siglip2":
        np.testing.assert_array_equal(model.text_tokenizer.ids(["A DOG"]), model.text_tokenizer.ids(["a dog"]))


def test_a_hub_file_that_lacks_weights_is_told(small, shelf, monkeypatch):
    from safetensors.torch import load_file, save_file

    changed = shutil.copytree(shelf, small / "hub")
    monkeypatch.setenv("VLJEPA_HUB", str(changed))
    path = changed / "facebook/vjepa2-vitl-fpc64-256/model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if name.startswith("encoder.") and name.endswith("bias"))
    save_file({k: v for k, v in tensors.items() if k != lost}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"it lacks {lost}"):
        load()


@pytest.mark.usefixtures("small")
def test_any_image_encoder_of_the_hub_can_be_named(shelf):
    torch.manual_seed(0)
    dino = Dinov2Model(Dinov2Config(hidden_size=24, num_hidden_layers=1, num_attention_heads=2, image_size=28,
                                    patch_size=14)).eval()
    dino.save_pretrained(shelf / "facebook/dinov2-base")
    encoder = public.pretrained_x_encoder(XEncoderConfig("transformers", repository="facebook/dinov2-base"),
                                          lambda *_: None)
    assert encoder.config.image_size == 28
    pixels = torch.randn(1, 2, 3, 28, 28)
    with torch.no_grad():
        wanted = dino(pixel_values=pixels[0]).last_hidden_state[:, 1:]
    torch.testing.assert_close(encoder(pixels)[0], wanted)


def test_the_map_and_the_bank_are_the_checkpoints_own(small, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("VLJEPA_HUB", str(small / "gone"))
    photos = public._photos()
    assert 4 <= len(photos) <= public.PHOTOS
    assert len(public._sentences()) > 1000


# what goes wrong, each in one sentence with the remedy


def response(status):
    return httpx2.Response(status, request=httpx2.Request("GET", "https://huggingface.co/a/b"))


def hub_error(kind, status=404, message="told"):
    return kind(message, response=response(status))


@pytest.mark.parametrize(("error", "told"), [
    (lambda: hub_error(errors.GatedRepoError, 403), r"accept a licence first: do so on https.*or choose an ungated"),
    (lambda: hub_error(errors.RepositoryNotFoundError, 401), r"no such repository, or it is private.*hf auth login"),
    (lambda: hub_error(errors.RevisionNotFoundError), r"no such revision"),
    (lambda: hub_error(errors.RemoteEntryNotFoundError), r"lacks a file"),
    (lambda: hub_error(errors.HfHubHTTPError, 401), r"does not let you: log in"),
    (lambda: hub_error(errors.HfHubHTTPError, 429), r"too many requests"),
    (lambda: hub_error(errors.HfHubHTTPError, 503), r"answered 503 .*try again later"),
    (lambda: errors.LocalEntryNotFoundError("no"), r"the hub does not answer"),
    (lambda: errors.OfflineModeIsEnabled("no"), r"the hub does not answer"),
    (lambda: httpx2.ConnectError("no route"), r"the hub does not answer \(ConnectError\).*VLJEPA_HUB"),
    (lambda: httpx2.ReadTimeout("slow"), r"the hub does not answer \(ReadTimeout\)"),
    (lambda: errors.LocalTokenNotFoundError("no"), r"needs an account: log in"),
    (lambda: OSError(errno.ENOSPC, "No space left on device", "/cache"), r"disk of /cache is full: make room"),
    (lambda: PermissionError(errno.EACCES, "Permission denied", "/cache"), r"/cache may not be written to"),
    (lambda: OSError(errno.EIO, "Input/output error", "/cache"), r"Input/output error \(/cache\)"),
])
def test_whatever_the_hub_answers_is_one_sentence(error, told, monkeypatch):
    def fails(*_, local_files_only=False, **__):
        raise errors.LocalEntryNotFoundError("not here") if local_files_only else error()

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", fails)
    with pytest.raises(CheckpointError, match=told) as raised:
        hub.fetch("a/b", "config.json")
    assert str(raised.value).startswith("a/b cannot be fetched: ")
    assert "\n" not in str(raised.value)


def test_without_a_network_by_wish_the_wish_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE forbids the network: unset it"):
        vljepa.load("somebody/something")


def test_where_nothing_is_asked_unasked_what_is_wished_for_may_be_fetched(monkeypatch):
    offline = []

    def downloads(*_, local_files_only=False, **__):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not here")
        offline.append(constants.HF_HUB_OFFLINE)
        raise errors.LocalEntryNotFoundError("no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", downloads)
    for environment, wanted, told in (("1", False, "the hub does not answer"), ("", True, "forbids the network")):
        monkeypatch.setenv("VLJEPA_NOTHING_UNASKED", environment)
        with pytest.raises(CheckpointError, match=told):
            hub.fetch("a/b", "config.json")
        assert offline.pop() is wanted
    assert constants.HF_HUB_OFFLINE


def test_a_disk_too_small_is_told_before_the_download(monkeypatch, tmp_path):
    def plans(*_, local_files_only=False, dry_run=False, **__):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not here")
        assert dry_run, "it began to download"
        return SimpleNamespace(local_path=str(tmp_path / "best.pt"), file_size=10**18)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", plans)
    with pytest.raises(CheckpointError, match=r"is full \(a/b/best.pt needs 1000000000\.0 GB and .* GB are free\)"):
        hub.fetch("a/b", "best.pt")


def test_a_download_tells_how_far_it_is_and_can_be_cancelled(monkeypatch, tmp_path):
    told = []

    def downloads(*_, local_files_only=False, dry_run=False, tqdm_class=None, **__):
        if local_files_only:
            raise errors.LocalEntryNotFoundError("not here")
        if dry_run:
            return SimpleNamespace(local_path=str(tmp_path / "f"), file_size=10)
        with tqdm_class(total=10, name="hf") as bar:
            bar.update(4)
            bar.update(6)
        return str(tmp_path / "f")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", downloads)
    assert hub.fetch("a/b", "f", report=lambda what, share: told.append((what, share))) == tmp_path
    assert told == [("Fetching a/b/f", 0.4), ("Fetching a/b/f", 1.0)]

    assert hub.has_file("a/b", "f", lambda what, share: told.append((what, share)))  # it fetches too, and tells so
    assert len(told) == 4

    def cancel(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.fetch("a/b", "f", report=cancel)


def test_a_full_disk_or_memory_while_converting_leaves_nothing(small, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(public, "save_file", full)
    with pytest.raises(CheckpointError, match=r"cannot be written to .*make room, or set VLJEPA_CACHE"):
        load()
    assert list((small / "checkpoints").iterdir()) == []
    monkeypatch.setattr(checkpoint, "free_bytes", lambda _: 1.0)
    with pytest.raises(CheckpointError, match=r"open-vljepa needs 2\.2 GB of memory on cpu"):
        load()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(CheckpointError, match=r"open-vljepa needs 3\.5 GB in .* and 0\.0 GB are free"):
        load()
    assert list((small / "checkpoints").iterdir()) == []


def test_the_real_description_has_the_394_tensors_of_the_real_file():
    from vljepa.predictor import build_predictor
    from vljepa.y_encoder import build_y_encoder

    with torch.device("meta"):
        predictor = build_predictor(OPEN_VLJEPA.predictor, 1024, 256, 1536).state_dict()
        y_encoder = build_y_encoder(OPEN_VLJEPA.y_encoder, 1536).state_dict()
    assert len(predictor) + len(y_encoder) == 394
    shapes = {f"predictor.{k}": tuple(v.shape) for k, v in predictor.items()}
    shapes |= {f"y_encoder.{k}": tuple(v.shape) for k, v in y_encoder.items()}
    assert shapes["predictor.embed_tokens.weight"] == (128256, 2048)
    assert shapes["predictor.layers.7.self_attn.k_proj.weight"] == (512, 2048)
    assert shapes["predictor.layers.0.mlp.down_proj.weight"] == (2048, 8192)
    assert shapes["predictor.vis_proj.weight"] == (2048, 1024)
    assert shapes["predictor.out_proj.weight"] == (1536, 2048)
    assert shapes["y_encoder.model.embed_tokens.weight"] == (262144, 768)
    assert shapes["y_encoder.model.layers.23.self_attn.q_proj.weight"] == (768, 768)
    assert shapes["y_encoder.model.layers.0.self_attn.v_proj.weight"] == (256, 768)
    assert shapes["y_encoder.model.layers.0.self_attn.q_norm.weight"] == (256,)
    assert shapes["y_encoder.model.layers.0.mlp.down_proj.weight"] == (768, 1152)
    assert shapes["y_encoder.model.layers.0.pre_feedforward_layernorm.weight"] == (768,)
    assert shapes["y_encoder.projector.weight"] == (1536, 768)


def test_public_weights_name_their_licence_and_size(capsys):
    assert main(["checkpoints"]) == 0
    out = capsys.readouterr().out
    for known in public.PUBLIC.values():
        assert known.licence in out or known.name in {info.name for info in vljepa.list_checkpoints()}
    assert json.dumps(out)
