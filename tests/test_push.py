"""Sharing: what is pushed is loaded again by its name, from a folder that stands in for the hub."""

import shutil

import numpy as np
import pytest
from huggingface_hub import ModelCard

import vljepa
from vljepa.__main__ import main
from vljepa.errors import CheckpointError

TEXTS = ["two red balls on a blue ground", "one white box"]


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("VLJEPA_HUB", str(tmp_path / "hub"))
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "hub"


def test_what_is_pushed_is_loaded_by_its_name(shelf, smoke, capsys):
    words = ["push", str(smoke), "somebody/tiny", "--license", "mit", "--base-model", "some/base"]
    assert main(words) == 0
    assert "vljepa.load('somebody/tiny')" in capsys.readouterr().out
    shared = shelf / "somebody/tiny"
    assert {f.name for f in smoke.iterdir()} - {"README.md"} <= {f.name for f in shared.iterdir()}
    card = ModelCard.load(shared / "README.md")
    assert card.data.license == "mit"
    assert card.data.library_name == "vljepa"
    assert card.data.base_model == ["some/base"]
    assert "VL-JEPA" in card.text
    one, other = (vljepa.load(name, device="cpu", dtype="float32") for name in (smoke, "somebody/tiny"))
    np.testing.assert_array_equal(one.embed_text(TEXTS), other.embed_text(TEXTS))


def test_a_card_keeps_its_own_words_and_header(shelf, smoke, tmp_path):
    mine = shutil.copytree(smoke, tmp_path / "mine")
    (mine / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: en\n---\n\n# Mine\n\nMy own words.\n")
    (mine / "metrics.json").write_text('{"retrieval": {"i2t_r1": 29.4}, "caption": {"cider": 0.4, "photos": 3}}')
    assert main(["push", str(mine), "me/mine"]) == 0
    card = ModelCard.load(shelf / "me/mine/README.md")
    assert (card.data.license, card.data.language, card.data.library_name) == ("apache-2.0", "en", "vljepa")
    assert "My own words." in card.text
    assert {result.metric_type: result.metric_value for result in card.data.eval_results} == {
        "retrieval.i2t_r1": 29.4, "caption.cider": 0.4}


@pytest.mark.usefixtures("shelf")
def test_what_cannot_be_shared_is_one_sentence(smoke, tmp_path, capsys):
    damaged = shutil.copytree(smoke, tmp_path / "damaged")
    (damaged / "predictor.safetensors").write_bytes(b"x")
    for words, told in ((["nobody", "me/mine"], "no checkpoint named 'nobody'"),
                        ([str(tmp_path), "me/mine"], "holds no checkpoint, for it has no config.json"),
                        ([str(smoke), "mine"], "named USER/NAME, got 'mine'"),
                        ([str(damaged), "me/mine"], "predictor.safetensors")):
        assert main(["push", *words]) == 2
        err = capsys.readouterr().err
        assert told in err
        assert err.count("\n") == 1


def test_a_shared_config_cannot_name_files_elsewhere(shelf, smoke):
    shared = shutil.copytree(smoke, shelf / "evil/one")
    config = shared / "config.json"
    config.write_text(config.read_text().replace('"bank.txt"', '"../../bank.txt"'))
    with pytest.raises(CheckpointError, match="outside its folder"):
        vljepa.load("evil/one")
