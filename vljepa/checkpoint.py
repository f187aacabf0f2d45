"""Checkpoints on disk: what was asked for loads whole, or one sentence says why not and what to do.

A checkpoint is a folder: `config.json` (with the SHA-256 of every file), one safetensors file for each part,
tokenizers, and if there are any the caption bank and the landmark map. Never pickle.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from visualizations.landmark_map import Landmarks
from vljepa.calibration import FILE as CALIBRATION
from vljepa.calibration import Calibration
from vljepa.config import ModelConfig
from vljepa.errors import CheckpointError
from vljepa.model import VLJEPA
from vljepa.paths import cache_dir
from vljepa.readout import CaptionBank
from vljepa.text import TextTokenizer
from vljepa.x_encoder import FrameXEncoder

if TYPE_CHECKING:
    from vljepa.hub import Report

PARTS = ("x_encoder", "predictor", "y_encoder", "y_decoder")
SHIPPED = Path(__file__).resolve().parent.parent / "checkpoints"


@dataclass(frozen=True)
class CheckpointInfo:
    """What can be loaded: its name, folder, size on disk in megabytes, and its metrics, if it has any."""

    name: str
    folder: Path
    megabytes: float
    metrics: dict


def list_checkpoints() -> list[CheckpointInfo]:
    """Every checkpoint that `load` finds by name: shipped ones first, then those in the user's cache folder."""
    found: dict[str, CheckpointInfo] = {}
    for root in _roots():
        for config in sorted(root.glob("*/config.json")):
            folder = config.parent
            if folder.name not in found:
                size = sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) / 1e6
                metrics = folder / "metrics.json"
                found[folder.name] = CheckpointInfo(
                    folder.name, folder, size, json.loads(metrics.read_text()) if metrics.exists() else {})
    return list(found.values())


def load(
    name: str | Path = "everyday", device: str | None = None, dtype: torch.dtype | str | None = None,
    calibrated: bool = True,
) -> VLJEPA:
    """A ready model, in evaluation mode, by checkpoint name or folder.

    The names of `vljepa.public` (open-vljepa, clip, siglip2) and repositories of the hub ("user/name") are fetched the
    first time, which takes a network and some minutes; later everything is on this machine.

    `device` None takes a GPU if there is one; `dtype` None takes bfloat16 where the device is fast at it, otherwise
    float32; those two are the types there are. `calibrated` False leaves the calibration out, for who makes a new one.
    CheckpointError says which file or tensor is missing, damaged or of the wrong shape, or that the memory does not
    suffice.
    """
    folder = place(name, device, dtype)
    check(folder)
    config, checksums = read_config(folder)
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    number = _dtype(dtype, target)
    with memory_told(config.name, target, _bytes_needed(folder, config, number)):
        model = _assemble(folder, config)
        for part in _tensors_files(config):
            _fill(_tensors(model, part), folder / f"{part}.safetensors", target, number)
        # what is not saved (rotary frequencies, pixel statistics) keeps float32: in bfloat16 a frequency's error would
        # turn the thousandth position by a whole radian
        model = model.to(device=target).eval().requires_grad_(False)
    model.fingerprint = _fingerprint(folder)
    model.calibration = _calibration(folder, model.fingerprint) if CALIBRATION in checksums and calibrated else None
    if isinstance(model.x_encoder, FrameXEncoder):
        model.x_encoder.channels_last()
    return model


def save(model: VLJEPA, folder: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write `model` as a checkpoint that `load` reads, weights in half precision, `config.json` last."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in _tensors_files(model.config):
        save_file({k: v.detach().to(dtype).contiguous().cpu() for k, v in _tensors(model, part).items()},
                  folder / f"{part}.safetensors")
    save_rest(model, folder)


def save_rest(model: VLJEPA, folder: Path) -> None:
    """Write what is no weight, and `config.json` with the checksums of all."""
    model.query_tokenizer.save(folder / "query_tokenizer.json")
    model.text_tokenizer.save(folder / "text_tokenizer.json")
    if model.decoder_tokenizer is not None:
        model.decoder_tokenizer.save(folder / "decoder_tokenizer.json")
    if model.bank is not None:
        model.bank.save(folder)
    if model.landmarks is not None:
        model.landmarks.save(folder / "landmarks.safetensors")
    (folder / CALIBRATION).unlink(missing_ok=True)  # it was fitted to the weights that were here
    (folder / "config.json").write_text(json.dumps(describe(folder, model.config), indent=2) + "\n")


def describe(folder: Path, config: ModelConfig) -> dict[str, Any]:
    """What `config.json` says of a folder whose other files are all there."""
    files = sorted(f for f in folder.iterdir() if f.suffix in (".safetensors", ".txt") or "tokenizer" in f.name)
    return {"model": config.to_dict(), "sha256": {f.name: _sha256(f) for f in files}}


def save_calibration(calibration: Calibration, name: str | Path) -> Path:
    """Put a calibration into the checkpoint it was fitted to, and its checksum into `config.json`; returns its path."""
    folder = found(name)
    if calibration.fingerprint != _fingerprint(folder):
        raise CheckpointError(f"the weights in {folder} changed while they were calibrated; calibrate them again")
    calibration.save(folder)
    described = json.loads((folder / "config.json").read_text())
    described["sha256"] = dict(sorted({**described["sha256"], CALIBRATION: _sha256(folder / CALIBRATION)}.items()))
    partial = folder / "config.json.part"
    partial.write_text(json.dumps(described, indent=2) + "\n")
    partial.replace(folder / "config.json")
    return folder / CALIBRATION


def _fingerprint(folder: Path) -> str:
    """Names whatever embeddings depend on: the configuration, the weights that make them, the tokenizers.

    The configuration as the file has it: an option that a later version adds is not in it, and changes nothing.
    """
    described = json.loads((folder / "config.json").read_text())
    parts = {name: sum_ for name, sum_ in described["sha256"].items()
             if name.split(".")[0] in ("x_encoder", "predictor", "y_encoder", "query_tokenizer", "text_tokenizer")}
    named = json.dumps([described["model"], parts], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _calibration(folder: Path, fingerprint: str) -> Calibration:
    try:
        calibration = Calibration.load(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{CALIBRATION} in {folder} cannot be used: {error}; run `python -m vljepa calibrate`"
                              ) from None
    if calibration.fingerprint != fingerprint:
        raise CheckpointError(f"{CALIBRATION} in {folder} was fitted to other weights: run `python -m vljepa calibrate`"
                              )
    return calibration


def _roots() -> list[Path]:
    return [SHIPPED, cache_dir() / "checkpoints"]


def find(name: str | Path) -> Path | None:
    """The folder of a checkpoint that is on this machine, by name or folder; None if there is none."""
    return next((folder for folder in _places(name) if (folder / "config.json").is_file()), None)


def found(name: str | Path) -> Path:
    """What `find` finds; CheckpointError says what is missing there and what to do."""
    folder = find(name)
    if folder is None:
        raise _missing(name)
    return folder


def _places(name: str | Path) -> list[Path]:
    """Where a checkpoint may be: in the folder of that path or, of a mere name, in one of the roots."""
    return [Path(name)] if isinstance(name, Path) or os.sep in name else [root / name for root in _roots()]


def _missing(name: str | Path) -> CheckpointError:
    """What to tell of a name or folder where there is no checkpoint."""
    if (Path(name) / "config.json").is_file():  # else it would have been found
        return CheckpointError(f"no checkpoint is named {str(name)!r}, but there is a folder of that name here: write "
                               f".{os.sep}{name} to mean it")
    for folder in (*_places(name), Path(name)):
        if folder.is_dir():
            return CheckpointError(f"the folder {folder} holds no checkpoint, for it has no config.json, which "
                                   "training writes last: run that training again to finish it, or choose one that "
                                   "`python -m vljepa checkpoints` lists")
        if folder.is_file():
            return CheckpointError(f"{folder} is a file, and a checkpoint is a folder: give the folder that holds "
                                   "config.json")
    from vljepa import public

    known = ", ".join([*(info.name for info in list_checkpoints()), *public.PUBLIC])
    return CheckpointError(
        f"no checkpoint named {str(name)!r}; there is: {known}. `python -m vljepa checkpoints` lists them")


def check(folder: Path) -> tuple[ModelConfig, list[str]]:
    """A folder's configuration and its files; CheckpointError unless every one is there and undamaged."""
    config, checksums = read_config(folder)
    files = sorted({*checksums, *(f"{part}.safetensors" for part in _tensors_files(config))})
    for file in files:
        _check_sum(folder / file, checksums)
    return config, files


def place(name: str | Path, device: str | None = None, dtype: torch.dtype | str | None = None) -> Path:
    """The folder of a checkpoint, fetched first if it has to be; CheckpointError if there is none by that name."""
    from vljepa import hub, public

    if (folder := find(name)) is not None:
        return folder
    if str(name) in public.PUBLIC:
        return public.prepare(str(name), device, dtype)
    if hub.is_repository(str(name)) and not Path(name).exists():
        return fetch_repository(str(name))
    raise _missing(name)


def fetch_repository(name: str, report: "Report | None" = None) -> Path:
    """The folder of a checkpoint that somebody shared on the hub ("user/name"), every file of it fetched."""
    from vljepa import hub

    folder = hub.fetch(name, "config.json", report=report)
    _, checksums = read_config(folder)
    if outside := [file for file in checksums if Path(file).name != file]:
        raise CheckpointError(f"config.json of {name} names {outside[0]}, which is outside its folder: do not use it")
    return hub.fetch(name, "config.json", *checksums, report=report)


def read_config(folder: Path) -> tuple[ModelConfig, dict[str, str]]:
    """What `config.json` says: the model, and the SHA-256 of each file; CheckpointError if it cannot be used."""
    try:
        described = json.loads((folder / "config.json").read_text())
        if not {"model", "sha256"} <= set(described):
            raise CheckpointError(f"{folder / 'config.json'} is not that of a vljepa checkpoint: give a folder that "
                                  "`python -m vljepa train` wrote")
        return ModelConfig.from_dict(described["model"]), described["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'} cannot be used: {error}; fetch the checkpoint again") from None


def _tensors_files(config: ModelConfig) -> list[str]:
    return [part for part in PARTS if part != "y_decoder" or config.y_decoder is not None] + ["text_shift"]


def _assemble(folder: Path, config: ModelConfig) -> VLJEPA:
    from transformers.initialization import no_init_weights

    try:
        decoder = folder / "decoder_tokenizer.json"
        landmarks = folder / "landmarks.safetensors"
        with no_init_weights():  # files fill every tensor; until then its memory is not even touched
            model = VLJEPA(
                config,
                TextTokenizer.from_file(folder / "query_tokenizer.json", None),
                TextTokenizer.from_file(folder / "text_tokenizer.json", config.y_encoder.max_tokens),
                TextTokenizer.from_file(decoder, None) if config.y_decoder is not None else None,
                CaptionBank.load(folder) if (folder / "bank.txt").exists() else None,
                Landmarks.load(landmarks) if landmarks.exists() else None)
        if model.y_decoder is not None:
            model.y_decoder.model.tie_weights()
        return model
    except Exception as error:  # the tokenizers library raises bare Exception on a damaged file
        raise CheckpointError(f"the checkpoint in {folder} cannot be read: {error}; fetch it again") from None


def _check_sum(path: Path, checksums: dict[str, str]) -> None:
    if not path.is_file():
        raise CheckpointError(f"the checkpoint lacks {path.name} ({path.parent}); fetch it again")
    if checksums.get(path.name) != _sha256(path):
        # a wrong sum alone does not tell where: name the first tensor that cannot be right
        where = _first_bad_tensor(path)
        raise CheckpointError(f"{path.name} in {path.parent} is damaged{where}; fetch the checkpoint again")


def _first_bad_tensor(path: Path) -> str:
    if path.suffix != ".safetensors":
        return " (its checksum differs)"
    try:
        bad = [name for name, tensor in load_file(path).items() if not torch.isfinite(tensor).all()]
    except (SafetensorError, OSError) as error:
        return f" ({error})"
    return f" (tensor {bad[0]} is not finite)" if bad else " (its checksum differs)"


def _fill(wanted: dict[str, torch.Tensor], path: Path, device: torch.device, dtype: torch.dtype) -> None:
    """Put every tensor of a file in the place of its name; CheckpointError names the first that does not fit."""
    try:
        tensors = load_file(path, device=str(device))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path.name} in {path.parent} cannot be read: {error}; fetch the checkpoint again") from None
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors or name not in wanted:
            side = "lacks" if name not in tensors else "has an unexpected"
            raise CheckpointError(f"{path.name} {side} tensor {name}: it does not fit config.json; fetch both again")
        if tensors[name].shape != wanted[name].shape:
            raise CheckpointError(
                f"tensor {name} of {path.name} must have shape {tuple(wanted[name].shape)} as config.json says, "
                f"but has {tuple(tensors[name].shape)}; fetch both again")
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"tensor {name} of {path.name} is not finite; fetch the checkpoint again")
    for name, tensor in tensors.items():
        wanted[name].data = tensor.to(dtype)


def _tensors(model: VLJEPA, part: str) -> dict[str, torch.Tensor]:
    """What the file of a part holds, by name; `text_shift` belongs to the whole model."""
    if part == "text_shift":
        return {part: model.text_shift}
    state: dict[str, torch.Tensor] = getattr(model, part).state_dict(keep_vars=True)
    return {name: tensor for name, tensor in state.items() if name != "model.lm_head.weight"}  # tied to the embedding


def _dtype(wished: torch.dtype | str | None, device: torch.device) -> torch.dtype:
    """The type asked for, or the device's fast one; ValueError for any but bfloat16 and float32."""
    if wished is None:
        return fast_dtype(device)
    found = getattr(torch, wished, None) if isinstance(wished, str) else wished
    if found not in (torch.bfloat16, torch.float32):
        raise ValueError(f"dtype must be bfloat16 or float32, got {str(wished).removeprefix('torch.')}: float16 "
                         "overflows in the predictor and gives NaN")
    return found


def _bytes_needed(folder: Path, config: ModelConfig, dtype: torch.dtype) -> int:
    """What the weights will take in memory, by the headers of their files."""
    total = 0
    for part in _tensors_files(config):
        with contextlib.suppress(SafetensorError, OSError), safe_open(folder / f"{part}.safetensors", "pt") as file:
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return total * dtype.itemsize


@contextlib.contextmanager
def memory_told(name: str, device: torch.device, bytes_needed: int) -> Iterator[None]:
    """Refuse beforehand, or tell afterwards, what does not fit in memory; CheckpointError has the remedy."""
    need, free = bytes_needed / 1e9, free_bytes(device) / 1e9
    lacking = (f"{name} needs {need:.1f} GB of memory on {device}, and {free:.1f} GB are free: close other programs, "
               "choose --dtype bfloat16, another --device or a smaller checkpoint")
    if need > free:
        raise CheckpointError(lacking)
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise CheckpointError(lacking) from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise CheckpointError(lacking) from None


def free_bytes(device: torch.device) -> float:
    """Memory that a program may still take there; infinite where nobody tells."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    told = Path("/proc/meminfo")
    lines = told.read_text().splitlines() if told.exists() else []
    available = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return available[0] if available and device.type == "cpu" else math.inf


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it in hardware, otherwise float32."""
    if device.type == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
