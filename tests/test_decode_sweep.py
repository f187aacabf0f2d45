"""The decode sweep of an open film, without a page: by coverage, or by CIDEr where somebody wrote what is seen."""

import time
from types import SimpleNamespace

import pytest
from test_app import SAY, ColourModel, film, finished, open_film

from app.engine import Engine
from app.explore import handlers
from app.store import Store
from vljepa.selective_sweep import METHODS

ANNOTATIONS = "start,end,text\n0,2,red\n2,4,green\n4,8,blue\n"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    engine = Engine(ColourModel(), "colours-1", Store(root / "store"))
    path = film(root / "colours.mp4", scenes=("red", "green", "blue", "blue"))
    engine.opened = open_film(engine, path)
    return engine


def swept(engine, **request):
    """What the page would get, once it is done."""
    functions = handlers(engine, engine.store.root)
    started = functions["sweep"]({"film": engine.opened.key} | SAY | request)
    if "error" in started:
        return started
    while not (told := functions["sweep_progress"](started)).get("done"):
        assert "error" not in told, told
        time.sleep(0.01)
    return told["sweep"]


def test_without_annotations_it_is_coverage_and_reads_nothing(engine):
    decoded = len(engine.model.decoded)
    found = swept(engine)
    assert found["score"] == "coverage"
    assert len(engine.model.decoded) == decoded
    rates = [point["rate_hz"] for point in found["points"]]
    assert rates[0] == 2.0
    assert [rate for rate in rates if rate * 8 < 1] == [0.1]  # a film of 8 s is read once at that rate, and below
    best = next(point for point in found["points"] if point["rate_hz"] == 0.35)
    assert best["decodes"] == 3
    assert best["selective"] > best["uniform"]
    assert found["fewer"]["selective"] is None  # eight by the clock hit every cut
    assert found["interval"] is None
    assert found["pays"]["rate_hz"] == 0.35
    assert 1.0 < found["pays"]["times"] <= 1.34  # four by the clock hit every cut too, though six do not
    assert best["selective"] > 0.9  # what follows the middle between two decodes is spoken for by the wrong one


def test_with_annotations_it_is_cider_and_no_sentence_is_read_twice(engine):
    engine.model.bank = SimpleNamespace(texts=["grey", "black"])
    before = sum(engine.model.decoded)
    found = swept(engine, annotations={"name": "mine.csv", "text": ANNOTATIONS})
    assert (found["score"], found["annotations"], found["name"]) == ("cider", 3, "mine.csv")
    assert all(found["points"][0][method] > 0 for method in METHODS)  # it says "red <b>..." of red: one word of two
    low, high = found["interval"]
    assert low <= found["fewer"]["selective"] <= high
    few = next(point for point in found["points"] if point["decodes"] == 3)
    assert few["selective"] == found["points"][0]["uniform"]
    assert found["points"][-1]["selective"] < few["selective"]
    read = sum(engine.model.decoded) - before
    assert 0 < read <= 40
    assert swept(engine, annotations={"name": "mine.csv", "text": ANNOTATIONS}) == found
    assert sum(engine.model.decoded) - before == read


@pytest.mark.parametrize(("text", "told"), [
    ("nothing", "names no columns"), ("start,end,text\n90,91,x", "within this film"),
])
def test_a_bad_file_is_one_sentence(engine, text, told):
    assert told in swept(engine, annotations={"name": "bad.csv", "text": text})["error"]


def test_one_annotation_and_no_other_sentence_is_too_little(engine):
    engine.model.bank = None
    job = finished(engine.sweep(engine.opened.key, "decoder", ("one.csv", "start,end,text\n0,2,red\n")))
    assert "single annotation" in job.error


def test_cancel_stops_the_reading(engine):
    engine.model.bank = SimpleNamespace(texts=["grey"])
    engine.opened.captions.clear()
    job = engine.sweep(engine.opened.key, "bank", ("mine.csv", ANNOTATIONS))
    job.cancel()
    assert finished(job).result is None or job.cancelled is False  # it may have been over before
    assert job.error is None
