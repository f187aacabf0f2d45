"""`bench gpu`: its way through on a CPU at the smallest size, and one sentence where there is no GPU."""

import json

import torch

from vljepa.__main__ import main


def test_without_a_gpu_it_says_so_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["bench", "gpu", "--json", str(tmp_path / "gpu.json")]) == 2
    told = capsys.readouterr()
    assert told.err == "error: there is no GPU here, so nothing was measured: run this on a machine with one\n"
    assert list(tmp_path.iterdir()) == []


def test_every_figure_is_measured_in_one_run(tmp_path):
    out = tmp_path / "gpu.json"
    assert main(["bench", "gpu", "--device", "cpu", "--size", "smoke", "--seconds", "0.01", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["device"] == "CPU"
    for key in ("live_windows_per_s", "offline_windows_per_s", "encoder_windows_per_s", "encoder_share_of_matmul",
                "token_vlm_live_windows_per_s", "gflop_per_window"):
        assert found["smoke"][key] > 0
    assert "encoder_share_of_peak" not in found["smoke"]  # nobody states a CPU's
