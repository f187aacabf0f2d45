"""Indexing on a local Ray cluster of two workers: the local engine's bytes, also after a worker died."""

import hashlib
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import ray

import vljepa
from vljepa import index_ray
from vljepa.__main__ import main
from vljepa.bench_shared import write_video
from vljepa.errors import LibraryError
from vljepa.index_ray import Work, embed_on_ray
from vljepa.indexing import embed_here, index, open_or_create
from vljepa.library import Library

ROOT = Path(vljepa.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for i, seconds in enumerate((9.0, 20.0, 30.0)):
        write_video(folder / f"{i}.mp4", seconds)
    (folder / "bad.mp4").write_bytes(b"no film")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """Two workers of this machine."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
             runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu", dtype="float32")


def hashes(entries):
    return {Path(e.path).name: (hashlib.sha256(e.embeddings.tobytes()).hexdigest(), e.spans, e.error) for e in entries}


def work_of(model, smoke):
    return Work(str(smoke), model.fingerprint, "cpu", "float32", 4.0)


@pytest.mark.usefixtures("cluster")
def test_ray_gives_the_local_engines_bytes_and_doubles_nothing(smoke, model, videos, tmp_path, monkeypatch):
    local = list(embed_here(model, 4.0)(sorted(videos.iterdir())))
    marker = tmp_path / "died"

    def dies_once(path, work):
        from vljepa.index_ray import _embed  # the worker's own

        if path.endswith("1.mp4") and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return _embed(path, work)

    monkeypatch.setattr(index_ray, "_embed", dies_once)
    library, _ = open_or_create(tmp_path / "library", model, 4.0)
    seen = []
    outcome = index(library, videos, embed_on_ray(work_of(model, smoke)), progress=lambda entry, *_: seen.append(entry))
    assert marker.exists()
    assert len(seen) == 4
    assert hashes(seen) == hashes(local)
    assert (outcome.indexed, list(outcome.broken)) == (3, [str(videos / "bad.mp4")])
    assert library.counts() == (3, sum(len(entry.spans) for entry in local), 1)


@pytest.mark.usefixtures("cluster")
def test_a_worker_with_other_weights_is_told(smoke, model, videos):
    engine = embed_on_ray(replace(work_of(model, smoke), fingerprint="another"))
    with pytest.raises(LibraryError, match=r"a worker failed: .*other weights under the name .*on all machines"):
        list(engine([videos / "0.mp4"]))


@pytest.mark.usefixtures("cluster")
def test_the_command_fills_a_library_by_ray(smoke, videos, tmp_path, capsys):
    words = ["index", str(videos), "--library", str(tmp_path / "l"), "--checkpoint", str(smoke), "--device", "cpu",
             "--engine", "ray"]
    assert main(words) == 2  # for the file that is no video
    told = capsys.readouterr()
    assert "3 indexed, 0 unchanged" in told.out
    assert "bad.mp4" in told.err
    assert Library(tmp_path / "l").counts()[0] == 3


def test_without_ray_the_remedy_is_named(smoke, model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(LibraryError, match=r"pip install -r requirements-scale\.txt"):
        list(embed_on_ray(work_of(model, smoke))([]))
