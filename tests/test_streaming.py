"""Training data from elsewhere: shards behind http, and data sets streamed by `datasets`, both resumed exactly."""

import http.server
import json
import re
import threading
from functools import partial

import datasets
import numpy as np
import pytest
from test_scale import data, finished, kill_one, losses, model, png, torchrun  # noqa: F401 - fixtures

from vljepa.train import shards as shards_module
from vljepa.train import streaming
from vljepa.train.shards import Shards
from vljepa.train.smoke import draw_pictures
from vljepa.train.streaming import Lanes, open_dataset

COUNT = 50


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves parts of files, as object stores do; every third answer is an error, as busy ones do."""

    answers, sends_ranges = 0, True

    def do_GET(self):
        type(self).answers += 1
        if self.sends_ranges and self.answers % 3 == 0:
            self.send_error(503)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not (wanted and self.sends_ranges):
            super().do_GET()
            return
        with open(self.translate_path(self.path), "rb") as file:
            held = file.read()
        first, last = int(wanted[1]), min(int(wanted[2]), len(held) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(held)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(held[first : last + 1])

    def end_headers(self):
        if self.sends_ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def served(data):  # noqa: F811
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(data)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_shards_behind_http_are_read_by_ranges(data, served, model, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(shards_module, "WAIT_S", 0.01)
    near, far = Shards(str(data / "[0-2].tar"), model, tmp_path), Shards(served + "/{0..2}.tar", model, tmp_path)
    assert len(far) == len(near) == 24
    for i in (0, 9, 23):
        np.testing.assert_array_equal(far[i].clip, near[i].clip)
        assert (far[i].text, far[i].query) == (near[i].text, near[i].query)
    assert far.urls == [f"{served}/{i}.tar" for i in range(3)]
    assert Ranges.answers > 6
    monkeypatch.setattr(Ranges, "sends_ranges", False)
    with pytest.raises(ValueError, match="must send ranges of a file"):
        far[1]
    with pytest.raises(ValueError, match=r"/nothing\.tar cannot be read .*check the address and the network"):
        Shards(served + "/nothing.tar", model, tmp_path)


def test_a_host_that_is_not_there_is_told(model, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(shards_module, "WAIT_S", 0.01)
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:9/a\.tar cannot be read"):
        Shards("http://127.0.0.1:9/a.tar", model, tmp_path)
    with pytest.raises(ValueError, match="needs a package"):
        Shards("s3://bucket/a.tar", model, tmp_path)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A data set as the hub has them: 50 pictures with captions in four files."""
    root = tmp_path_factory.mktemp("dataset")
    pictures, captions = draw_pictures(COUNT, 5)
    features = datasets.Features({"image": datasets.Image(), "caption": datasets.Value("string"),
                                  "query": datasets.Value("string")})
    for part in range(4):
        rows = range(part, COUNT, 4)
        datasets.Dataset.from_dict({
            "image": [{"bytes": png(pictures[i]), "path": None} for i in rows],
            "caption": [f"{i} {captions[i][0]}" for i in rows],
            "query": ["What is it?" if i % 2 else None for i in rows]}, features=features,
        ).to_parquet(root / f"train-{part}.parquet")
    return root, pictures


def lanes(parquet, model, work, workers=0, rank=0, world=1, share=4):  # noqa: F811
    return Lanes(open_dataset(str(parquet[0])), model.config, share, workers, work, rank, world)


def said(stream, steps):
    return [[sample.text for sample in next(stream)] for _ in range(steps)]


def flat(steps):
    return [text for step in steps for text in step]


def test_a_stream_shows_each_sample_once_an_epoch_in_an_order_of_its_own(parquet, model, tmp_path):  # noqa: F811
    source = lanes(parquet, model, tmp_path, share=10)
    samples = [sample for _, sample in zip(range(5), source.read_from(0), strict=False)]
    texts = [sample.text for step in samples for sample in step]
    numbers = [int(text.split()[0]) for text in texts]
    assert sorted(numbers) == list(range(COUNT))
    assert numbers != sorted(numbers)
    for sample, number in zip(samples[0], numbers, strict=False):
        np.testing.assert_array_equal(sample.clip[0], parquet[1][number])
        assert sample.query == ("What is it?" if number % 2 else None)
    again = said(lanes(parquet, model, tmp_path / "b", share=10).read_from(0), 10)
    assert flat(again[:5]) == texts
    assert set(flat(again[5:])) == set(texts)
    assert flat(again[5:]) != texts


@pytest.mark.parametrize(("workers", "world"), [(0, 1), (2, 2)])
def test_a_resumed_stream_goes_on_with_the_very_next_sample(workers, world, parquet, model, tmp_path,  # noqa: F811
                                                            monkeypatch):
    monkeypatch.setattr(streaming, "BLOCK", 5)
    whole = [said(lanes(parquet, model, tmp_path / f"a{rank}", workers, rank, world).read_from(0), 20)
             for rank in range(world)]
    if world > 1:
        assert not set(flat(whole[0][:4])) & set(flat(whole[1][:4]))
    for rank in range(world):
        assert said(lanes(parquet, model, tmp_path / "b", workers, rank, world).read_from(0), 9) == whole[rank][:9]
        for step in (7, 8, 3):  # behind what was read, then further, then back
            stream = lanes(parquet, model, tmp_path / "b", workers, rank, world).read_from(step)
            assert said(stream, 20 - step) == whole[rank][step:]


def test_a_stream_that_cannot_go_on_says_why(parquet, model, tmp_path):  # noqa: F811
    said(lanes(parquet, model, tmp_path, 0).read_from(0), 2)
    with pytest.raises(ValueError, match="noted for 2 steps of 1 readers"):
        next(lanes(parquet, model, tmp_path).read_from(5))
    with pytest.raises(ValueError, match="as many processes and --workers as before"):
        next(lanes(parquet, model, tmp_path, world=2).read_from(1))
    with pytest.raises(ValueError, match=r"has the columns image, caption, query: name those"):
        open_dataset(str(parquet[0]), ("image", "words"))
    with pytest.raises(ValueError, match="cannot be opened"):
        open_dataset(str(parquet[0]) + "@nothing")


def test_a_killed_run_on_a_stream_goes_on_to_the_same_losses_with_ddp(parquet, smoke, tmp_path):
    def command(name):
        return ("-m", "vljepa", "train", "paper", "--dataset", parquet[0], "--from", smoke, "--steps", 10, "--batch", 8,
                "--learning-rate", "1e-3", "--save-every", 3, "--workers", 0, "--device", "cpu", "--strategy", "ddp",
                "--work", tmp_path / name, "--out", tmp_path / f"{name}-checkpoint")

    finished(torchrun(*command("whole")))
    kill_one(command("killed"), tmp_path / "killed", steps=5, which=0)
    assert 5 <= len(losses(tmp_path / "killed")) < 10
    finished(torchrun(*command("killed")))
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 10
    assert json.loads((tmp_path / "killed/stream-1.jsonl").read_text().splitlines()[-1])[0] == 9
