"""Training on many processes with torch's own engines: DDP, or FSDP2 where one device cannot hold it all.

Each process embeds its share of the batch; InfoNCE is over the embeddings of all of them, and its gradients flow back
through the exchange. So N processes with B / N samples compute the gradients of one with B, but for rounding.
"""

import hashlib
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.nn.functional import all_gather
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.loop import Alone, Arm

STRATEGIES = ("ddp", "fsdp")
Loss = Callable[[int], tuple[Tensor, dict[str, Any]]]


class Parallel(Alone):
    """One of `world` processes, as torchrun started it. `strategy` is one of `STRATEGIES`."""

    def __init__(self, strategy: str, device: str | None = None) -> None:
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}")
        self.strategy = strategy
        self.local = local = int(os.environ.get("LOCAL_RANK", 0))  # among this machine's processes
        kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.device = torch.device(kind, local) if kind == "cuda" else torch.device(kind)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if not dist.is_initialized():
            for key, alone in (("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "0")):
                os.environ.setdefault(key, alone)  # without torchrun it is one process
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        self.rank, self.world = dist.get_rank(), dist.get_world_size()

    def wrap(self, arm: Arm) -> Loss:
        """Spread the arm's modules over the processes; call what is returned instead of `arm.loss`."""
        if isinstance(arm, ContrastiveArm):
            arm.gather = gather_batch
        if self.strategy == "ddp":
            # a step uses one of the two temperatures, and DDP must know that the other gets no gradient
            return DistributedDataParallel(_Step(arm), find_unused_parameters=True)
        for part in arm.children():
            self._shard(part)
        return arm.loss

    def _shard(self, part: nn.Module) -> None:
        mesh = init_device_mesh(self.device.type, (self.world,))
        half = self.device.type == "cuda"
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if half else MixedPrecisionPolicy()
        for blocks in [module for module in part.modules() if isinstance(module, nn.ModuleList)]:
            for block in blocks:
                fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(part, mesh=mesh, mp_policy=policy)

    def clip(self, module: nn.Module) -> None:
        """Scale all gradients so that their joint norm is at most 1; what is not sharded is averaged first."""
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        if self.strategy == "ddp":
            super().clip(module)
            return
        plain = [g for g in gradients if not isinstance(g, DTensor)]
        for gradient in plain:
            dist.all_reduce(gradient)
            gradient /= self.world
        sharded = [g.to_local() for g in gradients if isinstance(g, DTensor)]
        squares = torch.stack([g.float().square().sum() for g in sharded]).sum()
        dist.all_reduce(squares)
        norm = (squares + sum(g.float().square().sum() for g in plain)).sqrt()
        factor = (1.0 / (norm + 1e-6)).clamp(max=1.0)
        for gradient in [*sharded, *plain]:
            gradient.mul_(factor)

    def state(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """Whole weights and optimiser by name, on the first process alone: any number of processes can go on."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights, optimised = get_state_dict(module, optimiser, options=options)
        return {"module": weights, "optimiser": optimised}

    def restore(self, module: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Take up what `state` made."""
        set_state_dict(module, optimiser, model_state_dict=state["module"], optim_state_dict=state["optimiser"],
                       options=StateDictOptions(full_state_dict=True))

    def wait(self) -> None:
        """Go on when all have come here."""
        dist.barrier()

    def finish(self) -> None:
        """Part from the others."""
        dist.destroy_process_group()


class _Step(nn.Module):
    """DDP listens to a module's `forward`: this one is the arm's loss."""

    def __init__(self, arm: Arm) -> None:
        super().__init__()
        self.arm, self._loss = arm, arm.loss

    def forward(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        return self._loss(step)


def gather_batch(predicted: Tensor, targets: Tensor, owner: Tensor, keys: list[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, distinct targets and owners of all processes; `keys` name the texts behind this one's targets.

    A text that several processes have is kept once, or it would be its own negative. Processes may have different
    numbers of either. Every process computes the same loss, and its gradients reach each process's own embeddings.
    """
    hashes = torch.tensor([_hash(key) for key in keys], device=targets.device)
    all_hashes, counts = _rows(hashes)
    offset = sum(counts[: dist.get_rank()])
    all_owners, _ = _rows(owner + offset)
    all_predicted, all_targets = _rows(predicted)[0], _rows(targets)[0]
    _, place = torch.unique(all_hashes, return_inverse=True)
    count = int(place.max()) + 1
    rows = torch.arange(len(place), device=place.device)
    first = torch.full((count,), len(place), device=place.device).scatter_reduce_(0, place, rows, "amin")
    order = first.argsort()  # columns in the order in which a single process would have met them
    column = torch.empty_like(order).scatter_(0, order, torch.arange(count, device=order.device))
    return all_predicted, all_targets[first[order]], column[place[all_owners]]


def _rows(x: Tensor) -> tuple[Tensor, list[int]]:
    """The rows of all processes, one process after the other, and how many each has."""
    counts = [torch.zeros(1, dtype=torch.long, device=x.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(x)], device=x.device))
    sizes = [int(c) for c in counts]
    padded = torch.cat([x, x.new_zeros(max(sizes) - len(x), *x.shape[1:])])
    if x.is_floating_point():
        everyone = list(all_gather(padded.contiguous()))
    else:
        everyone = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(everyone, padded.contiguous())
    return torch.cat([rows[:size] for rows, size in zip(everyone, sizes, strict=True)]), sizes


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])  # fits a signed 64-bit number
