"""The one training loop: `loss = arm.loss(batch)`, a warm-up and cosine schedule, a log, and exact resume."""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: `steps`, peak `learning_rate`, the share of steps spent warming up, weight decay."""

    steps: int
    learning_rate: float
    warmup: float = 0.05
    weight_decay: float = 0.05
    save_every: int = 50  # 0: never, for runs that nobody will take up again
    validate_every: int = 50
    stop: int | None = None  # leave off at this step, before the rate has fallen to zero
    mean: float = 0.0  # what stays is an exponential mean of the weights with this decay a step; 0: the last weights

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, then a cosine to zero."""
        warm = max(1, round(self.steps * self.warmup))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


class Arm(nn.Module, ABC):
    """What is trained: its parameters by group, its loss on the batch of a step, and what `validation` tells the log.

    What it is made of is saved and restored as a whole.
    """

    def __init__(self, validation: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._validation = validation

    def groups(self) -> Iterable[tuple[list[nn.Parameter], float]]:
        """Parameters with the factor on the learning rate that they get: all that train, at one rate."""
        yield [parameter for parameter in self.parameters() if parameter.requires_grad], 1.0

    @abstractmethod
    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """The loss on the batch of `step`, and what else the log should say."""

    def validate(self) -> dict[str, float]:
        """Whatever the recipe measures on what is held out."""
        return self._validation()


class Alone:
    """How the loop runs in one process; `vljepa.train.parallel` has the same for many."""

    rank, world = 0, 1

    def wrap(self, arm: Arm) -> Callable[[int], tuple[Tensor, dict[str, Any]]]:
        """What gives the loss of a step."""
        return arm.loss

    def clip(self, module: nn.Module) -> None:
        """Scale all gradients so that their joint norm is at most 1."""
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)

    def state(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """What a later run needs to go on, as tensors and plain values."""
        return {"module": module.state_dict(), "optimiser": optimiser.state_dict()}

    def restore(self, module: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Take up what `state` made."""
        module.load_state_dict(state["module"])
        optimiser.load_state_dict(state["optimiser"])


def train(
    arm: Arm, schedule: Schedule, folder: Path, name: str, device: torch.device, processes: Alone | None = None,
    tensorboard: Path | None = None,
) -> None:
    """Train `arm` to the end of `schedule`, or go on from where a killed run last saved.

    Writes `folder/NAME.state.pt` (weights, optimiser, step; read as tensors only) and `folder/NAME.log.jsonl`, and the
    log's numbers for TensorBoard into a folder if one is given. ValueError if that is not installed.
    """
    for _ in training(arm, schedule, folder, name, device, processes, tensorboard):
        pass


def training(
    arm: Arm, schedule: Schedule, folder: Path, name: str, device: torch.device, processes: Alone | None = None,
    tensorboard: Path | None = None,
) -> Generator[tuple[int, dict[str, Any]], None, None]:
    """`train`, one step for each time that it is asked: yields the step that was taken and what the log says of it.

    Who asks no more pauses it, who closes it stops it; the arm then stays as it is, ready to be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = processes or Alone()
    loss_of = processes.wrap(arm)  # before the optimiser: it may replace parameters
    groups = [{"params": list(p), "factor": factor} for p, factor in arm.groups()]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=schedule.weight_decay)
    state_path = folder / f"{name}.state.pt"
    mean = _Mean(arm, schedule.mean) if schedule.mean else None
    start = _restore(processes, arm, optimiser, state_path, mean)
    first = processes.rank == 0  # it alone writes
    log = _Log(folder / f"{name}.log.jsonl", start, tensorboard) if first else None
    end = schedule.steps if schedule.stop is None else schedule.stop
    bar = tqdm(range(start, end), initial=start, total=end, desc=name, mininterval=5.0, disable=not first)
    arm.train()
    try:
        for step in bar:
            # dropout too is the same after a resume, and differs between processes
            torch.manual_seed(step * processes.world + processes.rank)
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step) * group["factor"]
            with torch.autocast(device.type, torch.bfloat16):
                loss, said = loss_of(step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            processes.clip(arm)
            optimiser.step()
            if mean is not None:
                mean.update(step)
            said = {"loss": loss.item(), **said}
            last = step + 1 == end
            if last or (step + 1) % schedule.validate_every == 0:
                said |= _validated(arm)
            if log is not None:
                log.write(step, said)
            bar.set_postfix({k: f"{v:.3f}" for k, v in said.items() if isinstance(v, float)}, refresh=False)
            if schedule.save_every and (last or (step + 1) % schedule.save_every == 0):
                _save(processes, arm, optimiser, step + 1, state_path, mean)
            yield step, said
    finally:
        if mean is not None:
            mean.settle()
        arm.eval()


class _Mean:
    """An exponential mean of a module's trained weights, faster at the start (Izmailov et al., arXiv:1803.05407)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.mean = {name: p.detach().clone() for name, p in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`."""
        share = 1 - min(self._decay, (step + 1) / (step + 9))
        for name, weight in self._weights.items():
            self.mean[name].lerp_(weight, share)

    @torch.no_grad()
    def settle(self) -> None:
        """Put the mean in the weights' place."""
        for name, weight in self._weights.items():
            weight.copy_(self.mean[name])


def _validated(arm: Arm) -> dict[str, float]:
    arm.eval()
    said = arm.validate()
    arm.train()
    return said


def _restore(
    processes: Alone, module: nn.Module, optimiser: torch.optim.Optimizer, path: Path, mean: _Mean | None
) -> int:
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    processes.restore(module, optimiser, state)
    if mean is not None:
        mean.mean = {name: tensor.to(mean.mean[name].device) for name, tensor in state["mean"].items()}
    return int(state["step"])


def _save(
    processes: Alone, module: nn.Module, optimiser: torch.optim.Optimizer, step: int, path: Path, mean: _Mean | None
) -> None:
    state = processes.state(module, optimiser)  # all of them take part
    if processes.rank == 0:
        partial = path.with_suffix(".partial")
        torch.save({**state, "step": step, **({} if mean is None else {"mean": mean.mean})}, partial)
        partial.replace(path)


class _Log:
    """One JSON object a step, with seconds since this process began; lines beyond the resumed step are dropped."""

    def __init__(self, path: Path, start: int, tensorboard: Path | None = None) -> None:
        self._board = None if tensorboard is None else _board(tensorboard, start)
        lines = path.read_text().splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] < start]
        path.write_text("".join(f"{line}\n" for line in kept))
        self._path, self._began = path, time.monotonic()

    def write(self, step: int, said: dict[str, Any]) -> None:
        seconds = round(time.monotonic() - self._began, 2)
        rounded = {k: round(v, 5) if isinstance(v, float) else v for k, v in said.items()}
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, "seconds": seconds, **rounded}) + "\n")
        if self._board is not None:
            for key, value in said.items():
                if isinstance(value, float):
                    self._board.add_scalar(key, value, step)
            self._board.flush()


def _board(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError("--tensorboard needs a package: python -m pip install -r requirements-scale.txt") from None
    return SummaryWriter(str(folder), purge_step=start)


def timed_progress() -> Callable[[str, int, int], None]:
    """A progress callback that shows one bar for each named job."""
    bars: dict[str, tqdm] = {}

    def show(job: str, done: int, total: int) -> None:
        bar = bars.setdefault(job, tqdm(total=total, desc=job, mininterval=5.0))
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show
