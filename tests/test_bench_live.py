"""`bench live`: parts are measured alone, and what other parts wrote stays."""

import argparse
import json

import numpy as np
import pytest

from vljepa import bench_live
from vljepa.__main__ import main
from vljepa.bench_boundaries import KEYS, SAMPLE, film_row, live_row
from vljepa.checkpoint import load
from vljepa.known_films import known_films
from vljepa.stream import Trajectory
from vljepa.video import VideoInfo


def test_parts_are_merged_entry_by_entry():
    known = {"a": 1, "soak": {"minutes": 30, "errors": 0}, "parts": {"soak": {"commit": "x"}}}
    found = {"a": 2, "soak": {"errors": 1}, "parts": {"map": {"commit": "y"}}}
    assert bench_live.merge(known, found) == {
        "a": 2, "soak": {"minutes": 30, "errors": 1}, "parts": {"soak": {"commit": "x"}, "map": {"commit": "y"}}}


def test_only_the_parts_asked_for_run_and_the_file_keeps_the_others(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(bench_live, "part", lambda name: lambda _: ran.append(name) or {name: len(ran)})
    out = tmp_path / "benchmarks" / "live.json"
    assert main(["bench", "live", "--only", "map", "--only", "boundaries", "--json", str(out)]) == 0
    assert main(["bench", "--json", str(out), "live", "--only", "map"]) == 0
    written = json.loads(out.read_text())
    assert ran == ["map", "boundaries", "map"]
    assert (written["boundaries"], written["map"]) == (2, 3)
    assert set(written["parts"]) == {"map", "boundaries"}
    assert {"command", "commit", "machine", "checkpoint"} <= set(written["parts"]["map"])


def test_every_part_exists():
    for name in bench_live.PARTS:
        assert callable(bench_live.part(name))


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "live", "--only", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


def test_the_row_of_a_film_with_two_scenes():
    scenes = np.repeat(np.eye(2, 8, dtype=np.float32), 40, axis=0)
    stream = Trajectory(np.arange(80) / 4, scenes, VideoInfo("two", 20.0, 25.0, 8, 8), 4.0, None, "none")
    row = film_row([10.0], stream)
    assert (row["scenes"], row["decodes"], row["uniform_1hz"], row["f1"]) == (2, 2, 20, 1.0)
    assert row["boundaries_s"] == pytest.approx([10.0], abs=0.5) and 0 < row["told_after_s"] < 2.5


def test_every_film_that_comes_with_the_app_has_a_key():
    films = [film.name for film in known_films(None)]
    assert SAMPLE in films and set(films) <= set(KEYS)
    bench_live.add_arguments(argparse.ArgumentParser())


def test_the_row_of_a_live_film_counts_every_frame(smoke):
    film = next(film for film in known_films(None) if film.name == "sample film `short`")
    row = live_row(load(smoke, device="cpu"), film, 3.0)
    assert row["rate_hz"] == 3.0 and row["windows"] == 3 * row["uniform_1hz"] and 0.0 <= row["f1"] <= 1.0
