"""What each process of `test_scale` runs: gradients of its share of a batch, by each engine, kept by the first."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.distributed.tensor import DTensor

from vljepa.config import SMOKE
from vljepa.model import VLJEPA
from vljepa.text import TextTokenizer
from vljepa.train.batches import Batch
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.parallel import Parallel

TEXTS = ["a red ball", "a blue box", "a red ball", "two flags", "a ring", "yes", "a green box and a red ball", "yes"]


class Share:
    """The same eight samples everywhere, of which each process has its part; some texts occur in several parts."""

    def __init__(self, rank, world):
        self.rows = range(len(TEXTS))[rank * len(TEXTS) // world : (rank + 1) * len(TEXTS) // world]

    def at(self, _seed, _step):
        return "share", self.make

    def make(self):
        tokens = torch.randn(8, 2, 5, WIDTH, generator=torch.Generator().manual_seed(3))
        texts = list(dict.fromkeys(TEXTS[i] for i in self.rows))
        owners = torch.tensor([[texts.index(TEXTS[i])] for i in self.rows])
        return Batch(tokens[list(self.rows)], ["what is it"] * len(self.rows), texts, owners)


def arm_of(rank, world):
    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["?", *sorted(set(" ".join(TEXTS).split()))])}, "?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    config = replace(SMOKE, y_decoder=None, predictor=replace(SMOKE.predictor, drop_tokens=0.0))
    model = VLJEPA(config, TextTokenizer(words, None), TextTokenizer(words, None))
    global WIDTH
    WIDTH = model.x_encoder.dim
    return ContrastiveArm(model, Share(rank, world), 0, dict)


def gradients(module):
    """Whole gradients by name."""
    return {name: p.grad.full_tensor() if isinstance(p.grad, DTensor) else p.grad.clone()
            for name, p in module.named_parameters() if p.grad is not None}


def main(folder):
    found = {}
    for strategy in ("ddp", "fsdp"):
        processes = Parallel(strategy, "cpu")
        arm = arm_of(processes.rank, processes.world)
        loss_of = processes.wrap(arm)
        loss, _ = loss_of(0)
        loss.backward()
        before = gradients(arm)
        processes.clip(arm)
        if strategy == "fsdp":  # its clip is what averages the temperature's gradient
            before["log_temperature"] = sum_over(arm, before)
        found[strategy] = {"loss": loss.detach(), **before}
        found[f"{strategy} clipped"] = gradients(arm)
    if dist.get_rank() == 0:
        torch.save(found, Path(folder, "found.pt"))
    processes.wait()  # who leaves while another still writes may be ended by its own threads
    processes.finish()


def sum_over(arm, before):
    """The temperature's gradient over all processes, undoing the clip by another parameter's factor."""
    name = "predictor.out_proj.bias"
    factor = (gradients(arm)[name].norm() / before[name].norm()).clamp(max=1.0)
    return arm.log_temperature.grad / factor


if __name__ == "__main__":
    main(sys.argv[1])
