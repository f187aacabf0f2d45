"""Public weights by name: `open-vljepa`, and the joint embeddings `clip` and `siglip2` to compare with.

Each is fetched once, checked tensor by tensor, and written as a checkpoint of ours into the user's cache; from then on
it needs no network. None of them has a Y-Decoder: captions come from the bank of our own sentences, embedded anew.
"""

import json
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import Tokenizer, normalizers
from torch import Tensor
from tqdm import tqdm

from vljepa import hub
from vljepa.checkpoint import SHIPPED, describe, load, memory_told, save_rest
from vljepa.config import OPEN_VLJEPA, ModelConfig, PredictorConfig, XEncoderConfig, YEncoderConfig
from vljepa.errors import CheckpointError
from vljepa.hub import Report
from vljepa.model import VLJEPA
from vljepa.paths import cache_dir
from vljepa.predictor import build_predictor
from vljepa.readout import CaptionBank
from vljepa.text import TextTokenizer
from vljepa.x_encoder import ClipXEncoder, build_x_encoder
from vljepa.y_encoder import build_y_encoder

TOKENIZERS = "VLJEPA_TOKENIZERS"  # environment: repositories of the query's and the texts' tokenizer, with a comma
PAD = "<|finetune_right_pad_id|>"  # Llama 3's; what stands in a padded place is masked, so only its presence is checked
SENTENCES_AT_ONCE = 128
PHOTOS = 8  # stills of the sample films whose predictions centre the map
NAMED = 4  # tensors told by name when a file does not fit
Parts = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class PublicCheckpoint:
    """What `load` can fetch: `gigabytes` is what the hub states, `million` counts parameters in use."""

    name: str
    title: str
    repositories: tuple[str, ...]
    gigabytes: float
    million: int
    licence: str
    notice: str
    convert: Callable[[Path, "PublicCheckpoint", tuple[str, str], Report], ModelConfig]
    tokenizers: tuple[str, str]
    expected: Callable[[], ModelConfig]  # what it will be made of, before anything is fetched


def convert_open_vljepa(
    folder: Path, public: PublicCheckpoint, tokenizers: tuple[str, str], report: Report
) -> ModelConfig:
    """Fetch and check `best.pt`, V-JEPA 2 and both tokenizers; write their parts into `folder`."""
    config = replace(OPEN_VLJEPA, x_encoder=replace(OPEN_VLJEPA.x_encoder, repository=public.repositories[1]))
    fetch_tokenizer(tokenizers[0], folder / "query_tokenizer.json", config.predictor.vocabulary, report)
    fetch_tokenizer(tokenizers[1], folder / "text_tokenizer.json", config.y_encoder.vocabulary, report)
    _check_llama_tokenizer(folder / "query_tokenizer.json", tokenizers[0])
    path = hub.fetch(public.repositories[0], "best.pt", report=report) / "best.pt"
    report("Checking every tensor", 0.0)
    state = _read_pickle_free(path).get("model_state_dict")
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} holds no model_state_dict: it is not open-vljepa's best.pt; fetch it again")
    encoder = pretrained_x_encoder(config.x_encoder, report)
    with torch.device("meta"):
        parts = {"predictor": build_predictor(config.predictor, encoder.dim, encoder.tokens_per_step, config.embed_dim),
                 "y_encoder": build_y_encoder(config.y_encoder, config.embed_dim)}
    wanted = {f"{part}.{k}": tensor for part, module in parts.items() for k, tensor in module.state_dict().items()}
    check_tensors(f"{public.repositories[0]}/best.pt", state, wanted)
    for part in parts:
        report(f"Converting the {part}", 0.5)
        write_part(folder, part, {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(f"{part}.")})
    write_part(folder, "x_encoder", encoder.state_dict())
    return config


def convert_joint(folder: Path, public: PublicCheckpoint, tokenizers: tuple[str, str], report: Report) -> ModelConfig:
    """Fetch and check CLIP or SigLIP 2 and its tokenizer; write both sides into `folder` as X- and Y-Encoder."""
    from transformers import CLIPTextModelWithProjection, SiglipTextModel

    repository = public.repositories[0]
    clip = public.name == "clip"
    encoder = pretrained_x_encoder(XEncoderConfig(
        "transformers", fit="crop_bicubic" if clip else "squash_bilinear", pixels="clip" if clip else "half",
        repository=repository, pooled=True), report)
    text = from_pretrained(CLIPTextModelWithProjection if clip else SiglipTextModel, repository, report)
    described = text.config
    y_config = YEncoderConfig("transformers", vocabulary=described.vocab_size, model=described.to_dict(),
                              max_tokens=described.max_position_embeddings)
    fetch_tokenizer(tokenizers[1], folder / "text_tokenizer.json", described.vocab_size, report,
                     lower_case=not clip)
    shutil.copyfile(folder / "text_tokenizer.json", folder / "query_tokenizer.json")
    report("Converting", 0.5)
    write_part(folder, "x_encoder", encoder.state_dict())
    write_part(folder, "y_encoder", {f"model.{name}": tensor for name, tensor in text.state_dict().items()})
    write_part(folder, "predictor", {})
    return ModelConfig(
        public.name, encoder.config, PredictorConfig("mean", query_length=y_config.max_tokens), y_config, None,
        embed_dim=encoder.dim, caption_query="Describe this video in one sentence.")


def _expected_joint(family: Literal["CLIP", "Siglip"]) -> ModelConfig:
    """CLIP ViT-B/32 or SigLIP 2 base at 224 pixels: the sizes that transformers' own configurations begin with."""
    import transformers

    vision = getattr(transformers, f"{family}VisionConfig")().to_dict()
    x_config = XEncoderConfig("transformers", image_size=vision["image_size"], model=vision, pooled=True)
    y_config = YEncoderConfig("transformers", model={"model_type": f"{family.lower()}_text_model"})
    width = vision.get("projection_dim", vision["hidden_size"])
    return ModelConfig(family.lower(), x_config, PredictorConfig("mean"), y_config, None, embed_dim=width)


PUBLIC = {public.name: public for public in (
    PublicCheckpoint(
        "open-vljepa", "VL-JEPA by the community, at the paper's size",
        ("cun-bjy/open-vljepa", "facebook/vjepa2-vitl-fpc64-256"), 3.5, 1110, "Llama 3.2, Gemma and MIT licences",
        "Built with Llama. It is derived from Llama 3.2 and EmbeddingGemma: using it means accepting the Llama 3.2 "
        "Community License (llama.com/llama3_2/license) and the Gemma Terms of Use (ai.google.dev/gemma/terms).",
        convert_open_vljepa, ("unsloth/Llama-3.2-1B", "unsloth/embeddinggemma-300m"), lambda: OPEN_VLJEPA),
    PublicCheckpoint(
        "clip", "CLIP ViT-B/32, a joint embedding to compare with", ("openai/clip-vit-base-patch32",), 0.61, 151, "MIT",
        "CLIP's authors ask that it not be deployed untested, nor for surveillance or face recognition.",
        convert_joint, ("openai/clip-vit-base-patch32",) * 2, lambda: _expected_joint("CLIP")),
    PublicCheckpoint(
        "siglip2", "SigLIP 2 base, a joint embedding to compare with", ("google/siglip2-base-patch16-224",), 1.5, 375,
        "Apache-2.0", "", convert_joint, ("google/siglip2-base-patch16-224",) * 2, lambda: _expected_joint("Siglip")),
)}


def prepare(
    name: str, device: str | None = None, dtype: torch.dtype | str | None = None, report: Report | None = None,
    tokenizers: tuple[str, str] | None = None,
) -> Path:
    """Fetch and convert a public checkpoint into the user's cache, and return its folder; minutes, once.

    `tokenizers` are the repositories of the query's and the texts' tokenizer; None takes those that the environment
    variable VLJEPA_TOKENIZERS names ("one,other"), or ungated copies. CheckpointError says what was in the way.
    """
    public, told = PUBLIC[name], report or print_progress()
    target = cache_dir() / "checkpoints" / name
    if public.notice and report is None:  # the app shows it before anything is fetched
        print(f"{name}: {public.notice}", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    _need_disk(target.parent, public)
    needed = public.million * 2_000_000  # in bfloat16
    with memory_told(name, torch.device("cpu"), needed), _disk_told(target.parent), \
            tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as aside:
        folder = Path(aside, name)
        folder.mkdir()
        config = public.convert(folder, public, tokenizers or _chosen_tokenizers(public), told)
        write_part(folder, "text_shift", {"text_shift": torch.zeros(config.embed_dim)})
        (folder / "config.json").write_text(json.dumps(describe(folder, config), indent=2) + "\n")
        model = load(folder, device, dtype)
        add_bank_and_map(model, told)
        save_rest(model, folder)
        (folder / "README.md").write_text(_card(public), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        os.replace(folder, target)
    told("Ready", 1.0)
    return target


def pretrained_x_encoder(config: XEncoderConfig, report: Report) -> Any:
    """The X-Encoder of `config.repository`, its weights fetched and checked, its configuration completed.

    Any V-JEPA 2, SigLIP 2 (fixed resolution), DINOv2, DINOv3 or CLIP of the hub. CheckpointError if it is none.
    """
    from transformers import AutoConfig
    from transformers.initialization import no_init_weights

    try:
        described = AutoConfig.from_pretrained(hub.fetch(config.repository, "config.json", report=report))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"config.json of {config.repository} describes no model of transformers: "
                              f"{str(error).splitlines()[0]}") from None
    described = getattr(described, "vision_config", described)
    if config.architecture == "transformers":
        size = config.image_size if not hasattr(described, "image_size") else described.image_size
        size = getattr(described, "crop_size", size)
        config = replace(config, model=described.to_dict(), image_size=size)
    encoder: Any
    try:
        with no_init_weights():
            encoder = build_x_encoder(config)
    except ValueError as error:
        raise CheckpointError(f"{config.repository} cannot be an X-Encoder: {error}") from None
    loaded = from_pretrained(type(encoder.model), config.repository, report, described)
    if isinstance(encoder, ClipXEncoder):
        del loaded.predictor
    check_tensors(config.repository, loaded.state_dict(), encoder.model.state_dict())
    encoder.model = loaded.eval().requires_grad_(False)
    return encoder


def check_tensors(source: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """CheckpointError says exactly what differs: tensors that are missing, unexpected, or of another shape."""
    missing, unexpected = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    shapes = [f"{name} must be {tuple(wanted[name].shape)} but is {tuple(found[name].shape)}"
              for name in sorted(wanted.keys() & found.keys()) if wanted[name].shape != found[name].shape]
    parts = [f"{what} {', '.join(names[:NAMED])}" + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
             for what, names in (("it lacks", missing), ("it has unexpected", unexpected), ("shapes differ:", shapes))
             if names]
    if parts:
        raise CheckpointError(f"{source} does not fit its description ({len(found)} tensors for {len(wanted)}): "
                              f"{'; '.join(parts)}. It may be a newer version: fetch an earlier revision of it")


def add_bank_and_map(model: VLJEPA, report: Report, sentences: Sequence[str] | None = None) -> None:
    """Give a model `sentences` as its bank, or those of the `everyday` checkpoint, and a map of them."""
    from vljepa.train.bank import build_landmarks

    texts, pieces = list(sentences or _sentences()), []
    for start in range(0, len(texts), SENTENCES_AT_ONCE):
        report("Embedding the caption bank", start / len(texts))
        pieces.append(model.embed_text(texts[start : start + SENTENCES_AT_ONCE]))
    model.bank = CaptionBank(texts, np.concatenate(pieces))
    report("Looking at a few photographs", 0.0)
    predicted = model.predict(model.encode_photos(np.stack([model.fit(photo) for photo in _photos()])))
    report("Drawing the map", 0.0)
    model.landmarks = build_landmarks(model.bank, predicted, seed=0)


def write_part(folder: Path, part: str, tensors: Mapping[str, Tensor]) -> None:
    """One part's safetensors file, each tensor in the type that it came in."""
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / f"{part}.safetensors")


def _sentences() -> list[str]:
    return (SHIPPED / "everyday" / "bank.txt").read_text(encoding="utf-8").splitlines()


def _photos() -> list[np.ndarray]:
    from sample_media import sample_films
    from vljepa.video import open_video

    found: list[np.ndarray] = []
    for film in sample_films():
        with open_video(film.path) as video:
            found += [frame.image for frame in video.frames(0.25)]
    return found[:: max(1, len(found) // PHOTOS)][:PHOTOS]


def _read_pickle_free(path: Path) -> Mapping[str, Any]:
    try:
        read = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path} is not a whole file of tensors alone ({reason}); delete it and fetch it "
                              "again") from None
    if not isinstance(read, Mapping):
        raise CheckpointError(f"{path} holds no dictionary: it is not what was asked for; fetch it again")
    return read


def from_pretrained(kind: Any, repository: str, report: Report, described: Any = None) -> Any:
    """A class of transformers with a repository's weights, fetched; CheckpointError names tensors that do not fit."""
    weights = "model.safetensors" if hub.has_file(repository, "model.safetensors", report) else "pytorch_model.bin"
    folder = hub.fetch(repository, "config.json", weights, report=report)
    options = {} if described is None else {"config": described}
    model, info = kind.from_pretrained(folder, output_loading_info=True, ignore_mismatched_sizes=True,
                                       attn_implementation="sdpa", **options)
    wrong = [f"it lacks {name}" for name in sorted(info["missing_keys"])]
    wrong += [f"{name} must be {tuple(wanted)} but is {tuple(found)}"
              for name, found, wanted in sorted(info["mismatched_keys"])]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise CheckpointError(f"{repository} does not fit its config.json: {'; '.join(wrong[:NAMED])}{more}. Fetch both"
                              " again")
    return model.eval().requires_grad_(False)


def _chosen_tokenizers(public: PublicCheckpoint) -> tuple[str, str]:
    chosen = os.environ.get(TOKENIZERS, "")
    if not chosen or len(set(public.tokenizers)) == 1:
        return public.tokenizers
    names = [name.strip() for name in chosen.split(",")]
    if len(names) != 2 or not all(hub.is_repository(name) for name in names):
        raise CheckpointError(f"{TOKENIZERS} must name two repositories, the query's tokenizer and the texts', with a "
                              f"comma between them, got {chosen!r}")
    return names[0], names[1]


def fetch_tokenizer(
    repository: str, target: Path, vocabulary: int, report: Report, lower_case: bool = False
) -> None:
    """Write a repository's tokenizer to `target`; CheckpointError if it is damaged or of another vocabulary."""
    path = hub.fetch(repository, "tokenizer.json", report=report) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare Exception on a damaged file
        raise CheckpointError(f"the tokenizer of {repository} cannot be read: {error}; fetch it again") from None
    if tokenizer.get_vocab_size() > vocabulary:
        raise CheckpointError(f"the tokenizer of {repository} has {tokenizer.get_vocab_size()} words and the model "
                              f"{vocabulary}: choose the repository of the right tokenizer")
    if lower_case:  # SigLIP 2 was trained so, but its file does not say it
        known = [tokenizer.normalizer] if tokenizer.normalizer is not None else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *known])
    TextTokenizer(tokenizer, None).save(target)


def _check_llama_tokenizer(path: Path, repository: str) -> None:
    tokenizer = Tokenizer.from_file(str(path))
    begin = tokenizer.token_to_id("<|begin_of_text|>")
    if begin is None or tokenizer.token_to_id(PAD) is None or tokenizer.encode("a").ids[:1] != [begin]:
        raise CheckpointError(f"the tokenizer of {repository} is not Llama 3.2's (it must know {PAD} and begin every "
                              "text with <|begin_of_text|>): choose another repository")


@contextmanager
def _disk_told(folder: Path) -> Iterator[None]:
    """A disk that fills up or refuses while a checkpoint is written, as one sentence."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if isinstance(error, SafetensorError) and "I/O" not in str(error):
            raise
        raise CheckpointError(f"the checkpoint cannot be written to {folder} ({error}): make room, or set VLJEPA_CACHE "
                              "to a folder on another disk") from None


def _need_disk(folder: Path, public: PublicCheckpoint) -> None:
    """What is fetched lies in the hub's cache, and what is converted beside it."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < public.gigabytes:
        raise CheckpointError(f"{public.name} needs {public.gigabytes:.1f} GB in {folder}, and {free:.1f} GB are free: "
                              "make room, or set VLJEPA_CACHE to a folder on another disk")


def print_progress() -> Report:
    """Bars on the terminal, one for each thing that is done."""
    bars: dict[str, tqdm] = {}

    def show(what: str, share: float) -> None:
        for known, bar in bars.items():
            if known != what:
                bar.update(100 - bar.n)
                bar.close()
        if what not in bars:
            bars[what] = tqdm(total=100, desc=what, bar_format="{desc}: {percentage:3.0f} % [{elapsed}]")
        bars[what].update(round(100 * share) - bars[what].n)

    return show


def _card(public: PublicCheckpoint) -> str:
    names = dict.fromkeys((*public.repositories, *public.tokenizers))
    sources = "\n".join(f"- https://huggingface.co/{name}" for name in names)
    return (f"# {public.title}\n\nConverted on this machine from\n\n{sources}\n\nLicence: {public.licence}. "
            f"{public.notice}\n\nIt has no Y-Decoder: captions are picked from the sentences of the `everyday` "
            "checkpoint.\n")
