"""Loading: what was asked for loads whole, or one sentence says which file or tensor is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import vljepa
from vljepa import CheckpointError, checkpoint


@pytest.fixture
def copy(smoke, tmp_path):
    return shutil.copytree(smoke, tmp_path / "copy")


def change_tensors(folder, part, change):
    path = folder / f"{part}.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    described = json.loads((folder / "config.json").read_text())
    described["sha256"][path.name] = checkpoint._sha256(path)
    (folder / "config.json").write_text(json.dumps(described))


def test_what_is_saved_loads_again_the_same(smoke, tmp_path):
    model = vljepa.load(smoke, device="cpu", dtype=torch.float32)
    checkpoint.save(model, tmp_path / "again")
    again = vljepa.load(tmp_path / "again", device="cpu", dtype=torch.float32)
    texts = ["two red balls on a blue ground", "one white box"]
    np.testing.assert_array_equal(model.embed_text(texts), again.embed_text(texts))
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    tokens = [m.encode_frames(frames)[:, None] for m in (model, again)]
    np.testing.assert_array_equal(model.predict(tokens[0]), again.predict(tokens[1]))
    assert model.decode(model.embed_text(texts)) == again.decode(again.embed_text(texts))


def test_no_file_of_a_checkpoint_is_a_pickle(smoke):
    assert {f.suffix for f in smoke.iterdir()} <= {".safetensors", ".json", ".txt", ".md"}


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(CheckpointError, match=r"no checkpoint named 'everyting'.*checkpoints` lists them"):
        vljepa.load("everyting")


def test_a_folder_without_a_checkpoint_says_what_is_missing(smoke, tmp_path, monkeypatch):
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    unfinished = tmp_path / "cache/checkpoints/unfinished"
    unfinished.mkdir(parents=True)
    shutil.copytree(smoke, tmp_path / "mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"model_type": "bert"}')
    for name, told in (("unfinished", rf"the folder {unfinished} holds no checkpoint, for it has no config\.json"),
                       (unfinished, "run that training again to finish it"), ("cache", "the folder cache holds no"),
                       ("mine", r"a folder of that name here: write \./mine"),
                       ("./mine/config.json", "is a file, and a checkpoint is a folder"),
                       ("./other", "is not that of a vljepa checkpoint")):
        with pytest.raises(CheckpointError, match=told):
            vljepa.load(name)
    assert checkpoint.found("./mine") == Path("mine")


def test_a_missing_part_is_named(copy):
    (copy / "predictor.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks predictor\.safetensors"):
        vljepa.load(copy)


def test_a_flipped_byte_is_noticed(copy):
    path = copy / "y_encoder.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"y_encoder\.safetensors .*damaged"):
        vljepa.load(copy)


def test_a_truncated_file_is_noticed(copy):
    path = copy / "x_encoder.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"x_encoder\.safetensors .*damaged"):
        vljepa.load(copy)


def test_a_tensor_of_the_wrong_shape_is_named(copy):
    change_tensors(copy, "predictor", lambda t: t.update({"out_proj.bias": torch.zeros(3, dtype=torch.float16)}))
    with pytest.raises(CheckpointError, match=r"tensor out_proj\.bias .*must have shape \(64,\)"):
        vljepa.load(copy)


def test_a_missing_tensor_is_named(copy):
    change_tensors(copy, "predictor", lambda t: t.pop("norm.weight"))
    with pytest.raises(CheckpointError, match=r"lacks tensor norm\.weight"):
        vljepa.load(copy)


def test_an_extra_tensor_is_named(copy):
    change_tensors(copy, "y_encoder", lambda t: t.update(surplus=torch.zeros(1)))
    with pytest.raises(CheckpointError, match="unexpected tensor surplus"):
        vljepa.load(copy)


def test_a_tensor_that_is_not_finite_is_named(copy):
    change_tensors(copy, "predictor", lambda t: t["vis_proj.bias"].fill_(float("nan")))
    with pytest.raises(CheckpointError, match=r"tensor vis_proj\.bias .*not finite"):
        vljepa.load(copy)


def test_a_config_with_an_unknown_key_is_refused(copy):
    described = json.loads((copy / "config.json").read_text())
    described["model"]["flavour"] = "vanilla"
    (copy / "config.json").write_text(json.dumps(described))
    with pytest.raises(CheckpointError, match="no flavour"):
        vljepa.load(copy)


def test_everydays_calibration_fits_its_weights():
    assert vljepa.load("everyday", "cpu").calibration is not None


def test_a_damaged_tokenizer_is_one_sentence(copy):
    (copy / "text_tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"text_tokenizer\.json .*damaged"):
        vljepa.load(copy)


def test_everyday_is_shipped_within_its_size():
    found = {info.name: info for info in vljepa.list_checkpoints()}
    folder = found["everyday"].folder
    assert folder.parent == checkpoint.SHIPPED
    assert all(f.stat().st_size <= 50e6 for f in folder.iterdir())
    assert found["everyday"].megabytes <= 120


def test_what_does_not_fit_in_memory_is_told_before_it_is_loaded(smoke, monkeypatch):
    monkeypatch.setattr(checkpoint, "free_bytes", lambda _: 1000.0)
    with pytest.raises(CheckpointError, match=r"smoke needs 0\.\d GB of memory on cpu, and 0\.0 GB are free: close"):
        vljepa.load(smoke, device="cpu")


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError,
                                   lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")])
def test_memory_that_runs_out_while_loading_is_told_the_same(smoke, monkeypatch, error):
    def fails(*_):
        raise error()

    monkeypatch.setattr(checkpoint, "_assemble", fails)
    with pytest.raises(CheckpointError, match="of memory on cpu"):
        vljepa.load(smoke, device="cpu")


def test_only_types_that_work_are_taken(smoke):
    assert vljepa.load(smoke, device="cpu", dtype="bfloat16").dtype == torch.bfloat16
    for wrong in ("float16", torch.float16, "int8", "nonsense"):
        with pytest.raises(ValueError, match="dtype must be bfloat16 or float32, got"):
            vljepa.load(smoke, device="cpu", dtype=wrong)


def test_rotary_frequencies_keep_their_precision(smoke):
    model = vljepa.load(smoke, device="cpu", dtype="bfloat16")
    assert model.predictor.rotary_emb.inv_freq.dtype == torch.float32
    assert model.predictor.layers[0].self_attn.q_proj.weight.dtype == torch.bfloat16
