"""The recipe for the paper's size: `torchrun --nproc-per-node N -m vljepa train paper`, on one machine or many.

It goes on from a checkpoint (open-vljepa, or any other), or starts from the parts that the paper names: V-JEPA 2, the
last eight layers of Llama-3.2-1B and EmbeddingGemma (arXiv:2512.10942, section 3.1). Hyperparameters are the paper's
where it gives them. It was proven with small models on CPUs alone; no GPU has run it.
"""

import argparse
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from vljepa import checkpoint
from vljepa.config import PAPER, PredictorConfig, XEncoderConfig, YEncoderConfig
from vljepa.metrics import recall_at_k
from vljepa.model import VLJEPA
from vljepa.paths import cache_dir
from vljepa.predictor import Predictor
from vljepa.public import (
    add_bank_and_map,
    fetch_tokenizer,
    from_pretrained,
    pretrained_x_encoder,
    print_progress,
)
from vljepa.readout import CaptionBank
from vljepa.text import TextTokenizer
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.loop import Schedule, train
from vljepa.train.parallel import Parallel
from vljepa.train.shards import ByPlace, Order, Reader, Shards, StreamedBatches

LLAMA, GEMMA, VJEPA = "unsloth/Llama-3.2-1B", "unsloth/embeddinggemma-300m", "facebook/vjepa2-vitl-fpc64-256"
HELD_OUT = 256  # samples of the validation shards that are looked at


def train_paper(args: argparse.Namespace, work: Path, out: Path) -> None:
    """Train, or go on, and write the checkpoint to `out`. ValueError for impossible options or shards."""
    if (args.shards is None) == (args.dataset is None):
        raise ValueError("training `paper` needs either --shards, a pattern of WebDataset tar files, or --dataset, one "
                         "of the hub; the README says more")
    processes = Parallel(args.strategy, args.device)
    try:
        folder = starting_folder(args.start, processes)
        model = checkpoint.load(folder, str(processes.device), torch.float32)
        arm = build_arm(model, args, work, processes)
        schedule = Schedule(args.steps, args.learning_rate, save_every=args.save_every,
                            validate_every=args.save_every)
        train(arm, schedule, work, "paper", processes.device, processes, args.tensorboard)
        if processes.rank == 0:
            write(folder, work / "paper.state.pt", out)
    finally:
        processes.finish()


def starting_folder(start: str, processes: Parallel) -> Path:
    """Where the model to train is; one process of each machine fetches what has to be fetched."""
    if processes.local == 0:
        folder = assemble_parts() if start == "parts" else checkpoint.place(start)
    processes.wait()
    return folder if processes.local == 0 else assemble_parts() if start == "parts" else checkpoint.place(start)


def build_arm(model: VLJEPA, args: argparse.Namespace, work: Path, processes: Parallel) -> ContrastiveArm:
    """What is trained, on this process's share of the shards."""
    if not isinstance(model.predictor, Predictor):
        raise ValueError(f"{model.name} has no predictor to train: start from open-vljepa, `parts` or one of yours")
    model.y_decoder = None
    batches = StreamedBatches(_reader(model, args, work, processes), model)
    arm = ContrastiveArm(model, batches, 0, _validation(model, args, work, processes))
    arm.log_answer_temperature.requires_grad_(False)  # of batches with all answers there are, which shards have not
    if args.recompute:
        model.predictor.recompute = True
        assert isinstance(model.y_encoder.model, PreTrainedModel)
        model.y_encoder.model.activation_checkpointing_enable({"use_reentrant": False})
    return arm


def _reader(model: VLJEPA, args: argparse.Namespace, work: Path, processes: Parallel) -> Reader:
    if args.dataset is not None:
        from vljepa.train.streaming import Lanes, open_dataset

        share, rest = divmod(args.batch, processes.world)
        if rest:
            raise ValueError(f"the batch must divide by the {processes.world} processes, got {args.batch}")
        return Lanes(open_dataset(args.dataset, args.columns), model.config, share, args.workers, work,
                     processes.rank, processes.world)
    shards = Shards(args.shards, model, work / f"index-{processes.rank}")
    return ByPlace(shards, Order(len(shards), args.batch, 0, processes.rank, processes.world), args.workers)


def write(start: Path, state: Path, out: Path) -> None:
    """The checkpoint of a finished run: the starting one with the trained parts, its bank and its map made anew."""
    model = checkpoint.load(start, dtype=torch.float32)
    trained = torch.load(state, weights_only=True, mmap=True, map_location="cpu")["module"]
    for part in ("predictor", "y_encoder"):
        own = {name.removeprefix(f"{part}."): t for name, t in trained.items() if name.startswith(f"{part}.")}
        getattr(model, part).load_state_dict(own)
    model.config = replace(model.config, name=out.name)
    if model.bank is not None and model.landmarks is None:
        model.bank = CaptionBank(model.bank.texts, model.embed_text(model.bank.texts))
    else:  # the map is of the bank's embeddings too; without a bank the model could say nothing
        add_bank_and_map(model, print_progress(), None if model.bank is None else model.bank.texts)
    checkpoint.save(model, out, torch.bfloat16)


def assemble_parts() -> Path:
    """A checkpoint of the paper's parts as they are before VL-JEPA's training, made once; its two heads are random."""
    from transformers import Gemma3TextModel, LlamaModel

    target = cache_dir() / "checkpoints" / "paper-parts"
    if (target / "config.json").exists():
        return target
    report = print_progress()
    encoder = pretrained_x_encoder(XEncoderConfig("transformers", fit="crop_bilinear", repository=VJEPA), report)
    llama, gemma = from_pretrained(LlamaModel, LLAMA, report), from_pretrained(Gemma3TextModel, GEMMA, report)
    config = replace(PAPER, name="paper-parts", x_encoder=encoder.config, y_decoder=None,
                     predictor=_predictor_of(llama.config), y_encoder=_y_encoder_of(gemma.config))
    with tempfile.TemporaryDirectory() as aside:
        for name, repository, size in (("query", LLAMA, config.predictor.vocabulary),
                                       ("text", GEMMA, config.y_encoder.vocabulary)):
            fetch_tokenizer(repository, Path(aside, f"{name}.json"), size, report)
        torch.manual_seed(0)
        model = VLJEPA(config, TextTokenizer.from_file(Path(aside, "query.json"), None),
                       TextTokenizer.from_file(Path(aside, "text.json"), config.y_encoder.max_tokens))
    model.x_encoder.load_state_dict(encoder.state_dict())
    model.y_encoder.model.load_state_dict(gemma.state_dict())
    own = model.predictor.state_dict()
    for name, tensor in llama.state_dict().items():
        layer = int(name.split(".")[1]) - config.predictor.layers if name.startswith("layers.") else 0
        renumbered = re.sub(r"^layers\.\d+", f"layers.{layer}", name)
        if layer >= 0:
            own[renumbered].copy_(tensor)
    checkpoint.save(model, target, torch.float32)
    return target


def _predictor_of(llama: Any) -> PredictorConfig:
    """The upper half of a Llama as a predictor."""
    return replace(
        PAPER.predictor, hidden=llama.hidden_size, layers=llama.num_hidden_layers // 2,
        heads=llama.num_attention_heads, key_value_heads=llama.num_key_value_heads, mlp=llama.intermediate_size,
        vocabulary=llama.vocab_size, norm_epsilon=llama.rms_norm_eps)


def _y_encoder_of(gemma: Any) -> YEncoderConfig:
    return replace(
        PAPER.y_encoder, hidden=gemma.hidden_size, layers=gemma.num_hidden_layers, heads=gemma.num_attention_heads,
        key_value_heads=gemma.num_key_value_heads, mlp=gemma.intermediate_size, vocabulary=gemma.vocab_size)


def _validation(
    model: VLJEPA, args: argparse.Namespace, work: Path, processes: Parallel
) -> Callable[[], dict[str, float]]:
    """Retrieval both ways on held-out samples; every process does the same, as sharded weights need all of them."""
    if not args.validation_shards:
        return dict
    shards = Shards(args.validation_shards, model, work / f"index-{processes.rank}")
    size = max(1, min(args.batch // processes.world, len(shards)))
    batches = StreamedBatches(ByPlace(shards, Order(len(shards), size, 0), args.workers), model)

    @torch.no_grad()
    def measure() -> dict[str, float]:
        predicted, texts, captions = [], [], list[str]()
        for step in range(min(HELD_OUT, len(shards)) // size):
            batch = batches.at(0, step)[1]()
            ids, mask = (t.to(model.device) for t in model.query_tokenizer(batch.queries or []))
            shown = model.predictor(batch.visual_tokens, ids, mask)
            said = model.y_encoder(*(t.to(model.device) for t in model.text_tokenizer(batch.texts)))
            predicted.append(F.normalize(shown.float(), dim=-1))
            texts.append(F.normalize(said.float(), dim=-1)[batch.owners[:, 0].to(said.device)])
            captions += [batch.texts[i] for i in batch.owners[:, 0].tolist()]
        similarity = (torch.cat(predicted) @ torch.cat(texts).T).cpu().numpy()
        same = [[j for j, other in enumerate(captions) if other == caption] for caption in captions]
        return {"val_v2t_r1": 100 * recall_at_k(similarity, same, 1),
                "val_t2v_r1": 100 * recall_at_k(similarity.T, same, 1)}

    return measure
