"""`python -m vljepa evaluate selective | boundaries | text | report` on tiny films of drawn pictures."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import vljepa
from vljepa import evaluate_boundaries, evaluate_selective, evaluate_text
from vljepa.__main__ import main
from vljepa.analysis import build_tree
from vljepa.composed_films import compose_film
from vljepa.decode_ratio import fewest_decodes, interval_95, measured_ratio, ratio, widest
from vljepa.hard_negatives import RULES, Triplet, triplets
from vljepa.readout import Caption
from vljepa.selective_sweep import METHODS, AnnotatedStream, Decodes, Sweep, coverage, decodes_at, sweep
from vljepa.stream import Trajectory
from vljepa.train.smoke import draw_pictures
from vljepa.video import VideoInfo

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The layout that the README documents: twelve drawn pictures, and one short video with timed scenes."""
    root = tmp_path_factory.mktemp("data")
    pictures, captions = draw_pictures(12, seed=7)
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(root / f"{i}.png"), picture[..., ::-1])
    rows = [{"file": f"{i}.png", "split": "test", "captions": captions[i]} for i in range(12)]
    (root / "flickr8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def stream(*scenes: tuple[int, int]) -> Trajectory:
    """Scenes, each a number of steps at 4 Hz in which the embedding is one unit vector of four."""
    embeddings = np.concatenate([np.tile(np.eye(4, dtype=np.float32)[what], (steps, 1)) for what, steps in scenes])
    times_s = np.arange(len(embeddings)) / 4
    return Trajectory(times_s, embeddings, VideoInfo("made up", len(embeddings) / 4, 4.0, 1, 1), 4.0, None, "made up")


def test_selective_decoding_reads_in_the_middle_of_each_scene_and_uniform_by_the_clock():
    trajectory = stream((0, 4), (1, 20), (2, 16))  # scenes of 1, 5 and 4 s
    tree = build_tree(trajectory, 0.0)
    selective, uniform = (decodes_at(trajectory, tree, 0.3, method) for method in ("selective", "uniform"))
    assert selective.times_s.tolist() == [0.5, 3.5, 8.0]
    assert selective.embeddings.argmax(axis=1).tolist() == [0, 1, 2]
    assert uniform.times_s == pytest.approx([1.625, 5.0, 8.375], abs=0.13)
    assert uniform.embeddings.argmax(axis=1).tolist() == [1, 1, 2]
    assert [len(decodes_at(trajectory, tree, rate, m).times_s) for rate in (9.0, 0.001) for m in METHODS] == \
        [40] * 4 + [1] * 4
    with pytest.raises(ValueError, match="method must be one of"):
        decodes_at(trajectory, tree, 1.0, "sometimes")
    with pytest.raises(ValueError, match="above 0"):
        decodes_at(trajectory, tree, 0.0, "uniform")


def test_the_nearest_decode_in_time_is_taken_the_earlier_of_two():
    decodes = Decodes(np.array([1.0, 2.0, 6.0]), np.eye(3, dtype=np.float32))
    assert decodes.nearest(np.array([0.0, 1.4, 1.5, 1.6, 4.0, 4.1, 99.0])).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert Decodes(np.array([5.0]), np.ones((1, 3), np.float32)).nearest(np.array([0.0, 9.0])).tolist() == [0, 0]


def test_coverage_is_one_where_every_scene_is_decoded_and_less_where_one_is_left_out():
    trajectory = stream((0, 4), (1, 20), (2, 16))
    tree = build_tree(trajectory, 0.0)
    assert coverage(trajectory, decodes_at(trajectory, tree, 4.0, "uniform")) == pytest.approx(1.0)
    # three decodes at 0.5, 3.5 and 8 s: the steps from 2 to 5.75 s are nearest to the second, those around miss it
    assert coverage(trajectory, decodes_at(trajectory, tree, 0.3, "selective")) == pytest.approx(35 / 40, abs=0.03)
    assert coverage(trajectory, decodes_at(trajectory, tree, 0.3, "uniform")) < 0.85


def test_a_sweep_reads_each_needed_sentence_once_and_scores_the_right_scene():
    """A decoder that says exactly what the scene's reference says: all right while every scene is decoded."""
    words = ["a dog runs on grass", "two men play chess", "the red car drives past", "nobody is here"]
    read = []

    def decode(embeddings):
        read.extend(e.tobytes() for e in embeddings)
        return [Caption(words[int(e.argmax())], "made up", 1.0) for e in embeddings]

    trajectory = stream((0, 4), (1, 20), (2, 16))
    film = AnnotatedStream(trajectory, build_tree(trajectory, 0.0), np.array([0.5, 3.5, 8.0]),
                           [[words[0]], [words[1]], [words[2]]])
    found = sweep([film], decode, (1.0, 0.3, 0.01))
    assert found.scores["selective"][:2] == pytest.approx(np.full((2, 3), 10.0))
    assert found.scores["uniform"][1] == pytest.approx([0.0, 10.0, 10.0])  # the first scene has no sentence of its own
    assert {m: d.tolist() for m, d in found.decodes.items()} == {m: [10, 3, 1] for m in METHODS}
    assert len(read) == len(set(read))


def test_the_ratio_at_equal_cider_is_read_off_the_curves():
    """Uniform falls at once, selective stays up to a quarter: by hand, and where it never reaches it."""
    rates = (2.0, 1.0, 0.5, 0.25, 0.1)
    scores = {m: np.repeat([[v] for v in values], 4, axis=1) for m, values in {
        "uniform": [50.0, 50.0, 30.0, 20.0, 10.0], "selective": [50.0, 50.0, 48.0, 40.0, 10.0],
        "uniform_pool": [50.0] * 5, "selective_pool": [40.0] * 5}.items()}
    decodes = {m: np.array([200, 100, 50, 25, 10]) for m in METHODS}
    found = Sweep(rates, scores, decodes, np.array([0, 0, 1, 1]))
    everything = np.arange(4)
    by_hand = ratio(found, "uniform", "selective", everything, equal=0.98)
    assert by_hand == pytest.approx(100 / np.exp(np.interp(0.5, (0, 1), np.log((50, 100)))))
    told = evaluate_selective.ratios(found)
    assert told["decodes_uniform_over_selective_at_equal_cider"] == told["interval_95"][0] == told["interval_95"][1]
    assert told["decodes_uniform_over_selective_at_equal_cider_pooled"] is None
    assert told["without_smoothing_or_tolerance"] == 1.0
    assert measured_ratio(found, "uniform", "selective") == 1.0
    assert measured_ratio(found, "selective", "uniform") == 1.0
    assert measured_ratio(found, "uniform_pool", "selective_pool") is None
    rate, times = widest(found, "uniform", "selective")
    assert (rate, times) == (0.25, pytest.approx(np.exp(np.interp(0.5, (0, 1), np.log((50, 100)))) / 25))
    assert widest(found, "uniform_pool", "selective_pool") is None
    apart = Sweep(rates, {m: s * (1, 1, 0, 0) for m, s in scores.items()}, decodes, found.film_of)
    assert interval_95(apart, "uniform", "selective", found.film_of)[1] > by_hand  # the first film twice


def test_a_clock_that_dips_has_reached_what_it_reached_with_fewer_decodes():
    """Coverage of a film of cars: one decode each, the same score, and two by the clock that stand for less."""
    scores = {"uniform": [0.9, 0.72, 0.76], "selective": [0.81, 0.75, 0.76]}
    found = Sweep((0.1, 0.05, 0.02), {m: np.array(values)[:, None] for m, values in scores.items()},
                  {m: np.array([4, 2, 1]) for m in scores}, np.zeros(1, dtype=int))
    assert widest(found, "uniform", "selective") is None
    assert fewest_decodes(np.array([1.0, 2.0, 4.0]), np.array([0.76, 0.72, 0.9]), 0.81) == pytest.approx(2 * 2**0.5)
    assert fewest_decodes(np.array([1.0, 2.0, 4.0]), np.array([0.76, 0.72, 0.9]), 0.91) is None


def test_selective_writes_its_figures_and_a_page_that_needs_no_network(folder, smoke, tmp_path, capsys):
    out, page = tmp_path / "out/selective.json", tmp_path / "selective.html"
    command = ["evaluate", "selective", "--data", folder, "--checkpoint", smoke, "--films", "2", "--scenes", "2",
               "--json", out, "--html", page]
    assert main([str(word) for word in command]) == 0
    found = json.loads(out.read_text())
    assert len(found["interval_95"]) == 2
    assert found["films"]["scenes"] == 4
    assert found["curves"][0]["decodes"] > found["curves"][-1]["decodes"] >= 2
    assert all(0 <= point[method] <= 10 for point in found["curves"] for method in METHODS)
    assert "The paper: 2.85 x" in capsys.readouterr().out
    text = page.read_text()
    assert "Plotly.newPlot" in text
    assert 'src="http' not in text
    assert main(["evaluate", "report", "--from", str(out.parent), "--html", str(tmp_path / "all.html")]) == 0
    assert "Selective decoding" in (tmp_path / "all.html").read_text()


def test_too_few_photos_or_no_data_is_one_sentence(folder, capsys):
    for words, told in ((["--data", folder, "--films", "5", "--scenes", "9"], "ask for less"), ([], "needs --data")):
        assert main(["evaluate", "selective", *map(str, words)]) == 2
        assert told in capsys.readouterr().err
    assert main(["evaluate", "report", "--from", str(folder), "--html", "never.html"]) == 2
    assert "measure first" in capsys.readouterr().err


def test_boundaries_are_measured_beside_pyscenedetect(folder, smoke, tmp_path, monkeypatch):
    """Two drawn pictures with a cut between: the detectors must find it in the very file that the model reads."""
    monkeypatch.setattr(evaluate_boundaries, "known_films", lambda _: [])
    monkeypatch.setattr(evaluate_boundaries, "compose", lambda photos, films, scenes: [
        compose_film(photos, scenes, (2.0, 3.0), dissolves=0.0) for _ in range(films)])
    monkeypatch.setattr(evaluate_boundaries, "mean_f1", lambda rows, way: rows[0][way]["f1"] if rows else 0.0)
    out = tmp_path / "boundaries.json"
    command = ["evaluate", "boundaries", "--data", folder, "--checkpoint", smoke, "--films", "1", "--scenes", "2",
               "--json", out, "--html", tmp_path / "page.html"]
    assert main([str(word) for word in command]) == 0
    row = json.loads(out.read_text())["cuts"]["films"][0]
    assert row["true"] == row["cuts"] == 1
    assert row["content"] == {"found": 1, "f1": 1.0, "cuts_found": 1}
    assert row["adaptive"]["f1"] == 1.0
    assert set(row) >= set(evaluate_boundaries.WAYS)


def test_without_pyscenedetect_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    with pytest.raises(ValueError, match="requirements-dev"):
        evaluate_boundaries.detectors_of_pyscenedetect()


def test_each_rule_changes_one_thing_and_puts_in_what_no_caption_says():
    captions = ["A man in a red shirt is walking with two dogs .", "A man walks his two dogs in front of a car"]
    made = {t.rule: t for t in triplets([captions])}
    assert set(made) == set(RULES)
    assert made["swap"].negative.startswith("A shirt in a red man is")  # not the dogs: they are several
    assert made["noun"].negative.startswith("A woman in a red shirt")
    assert "blue shirt" in made["colour"].negative
    assert "three dogs" in made["number"].negative
    assert "without two dogs" in made["relation"].negative
    assert "is not walking" in made["negation"].negative
    assert {t.second for t in made.values()} == {captions[1]}
    swapped = [t for t in triplets([["a dog chases a cat", "an animal"], ["a dog and a cat", "pets"]])
               if t.rule == "swap"]
    assert swapped == [Triplet("swap", "a dog chases a cat", "an animal", "a cat chases a dog")]  # a list has no order


def test_a_triplet_counts_only_if_both_inequalities_hold():
    places = {"first": [1.0, 0.0], "near": [0.8, 0.6], "far": [-0.6, 0.8], "between": [0.95, np.sqrt(1 - 0.95**2)]}
    made = [Triplet("swap", "first", "near", "far"), Triplet("swap", "first", "near", "between")]
    found = evaluate_text.both_inequalities(lambda texts: np.array([places[t] for t in texts]), made)
    assert found == {rule: {"first": 50.0, "second": 50.0, "both": 50.0} for rule in ("swap", "all")}
    with pytest.raises(ValueError, match="no caption"):
        evaluate_text.both_inequalities(lambda texts: np.zeros((len(texts), 2)), [])


def test_text_compares_with_minilm_untouched(folder, smoke, tmp_path, monkeypatch):
    """The package of MiniLM's weights is for training alone: here another encoder stands in its place."""
    model = vljepa.load(smoke)
    monkeypatch.setattr(evaluate_text, "minilm", lambda: model.embed_text)
    out, page = tmp_path / "text.json", tmp_path / "text.html"
    command = ["evaluate", "text", "--data", folder, "--checkpoint", smoke, "--json", out, "--html", page]
    assert main([str(word) for word in command]) == 0
    found = json.loads(out.read_text())
    assert found["y_encoder"] == found["minilm"]
    assert set(found["triplets"]) == set(RULES)
    assert "Text encoder" in page.read_text()


def test_what_is_in_the_repository_makes_one_page_with_the_five_arms(tmp_path):
    page = tmp_path / "all.html"
    assert main(["evaluate", "report", "--from", str(BENCHMARKS), "--html", str(page)]) == 0
    said = page.read_text(encoding="utf-8")
    for title in ("Selective decoding", "Boundaries", "Text encoder", "Five answers"):
        assert f"<h2>{title}" in said
    assert "photos: CIDEr, written" in said and "token VLM" in said
