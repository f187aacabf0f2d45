"""Ask, classify and find over a watched film: what is computed, and what bad input is told."""

import csv
import io
import json
import os

import numpy as np
import pytest
import torch

import vljepa
from vljepa import moments
from vljepa.__main__ import main
from vljepa.ask import UNCALIBRATED, ask
from vljepa.bench_shared import write_video
from vljepa.calibration import KINDS, Calibration, Presence, Scale
from vljepa.checkpoint import SHIPPED
from vljepa.kept import FilmCache, TokenFile
from vljepa.labels import PROMPTS, QUERY, classify, label_spans
from vljepa.moments import find, grouped, similar
from vljepa.readout import normalise
from vljepa.stream import Trajectory
from vljepa.text import TextTokenizer
from vljepa.texts import split_list
from vljepa.video import VideoInfo
from vljepa.vocabulary import all_answers, built_in_answers
from vljepa.watched import MOST_STEPS, Watched, steps_within, watch

SECONDS, RATE_HZ = 20.0, 4.0
CALIBRATION = Calibration("", "made up", {kind: Scale(0.05, 0.5, 100, 0.0) for kind in KINDS},
                          Presence(1.0, -2.0, 100, 0.0))


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "bars.mp4"
    write_video(path, SECONDS)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return FilmCache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def film(model, video, cache):
    return watch(model, video, cache=cache)


@pytest.fixture
def calibrated(film, monkeypatch):
    monkeypatch.setattr(film.model, "calibration", CALIBRATION)
    return film


# ---- watching once


def test_a_question_on_kept_tokens_predicts_what_the_stream_predicts(film, model, video):
    question = "What colour is it?"
    stream = model.embed(video, question).collect()
    found = film.predict(question, (0.0, 10.0))
    assert found.times_s.tolist() == stream.times_s[:40].tolist()
    np.testing.assert_allclose(found.embeddings, stream.embeddings[:40], atol=2e-3)  # tokens are kept in float16


def test_a_film_is_watched_once(film, model, video, cache, monkeypatch):
    monkeypatch.setattr(type(model), "encode_clips", lambda *_: pytest.fail("the film was watched again"))
    again = watch(model, video, cache=cache)
    np.testing.assert_array_equal(again.trajectory.embeddings, film.trajectory.embeddings)
    assert isinstance(again.tokens, np.memmap)
    assert ask(again, "Is there a red ball?", ["yes", "no"]).answers[0].text in ("yes", "no")


def test_a_question_asked_again_does_not_even_predict(film, model, monkeypatch):
    first = film.predict("What is this?")
    monkeypatch.setattr(type(model), "predict", lambda *_: pytest.fail("predicted again"))
    assert film.predict("What is this?") is first


def test_another_checkpoint_or_rate_watches_anew(cache, video):
    folders = {cache.folder(video, fingerprint, rate) for fingerprint in ("a", "b") for rate in (2.0, 4.0)}
    assert len(folders) == 4


def test_a_film_that_grows_too_large_is_thinned_evenly(tmp_path):
    rows = torch.arange(37, dtype=torch.float32)[:, None, None].expand(-1, 2, 3)
    with TokenFile(tmp_path / "film", 0.25, largest=10 * 2 * 2 * 3) as file:
        for start in range(0, 37, 5):
            file.add(rows[start : start + 5])
        file.finish(a_trajectory(np.eye(37)))
    _, tokens, step_s = TokenFile.read(tmp_path / "film")
    assert tokens[:, 0, 0].tolist() == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]
    assert step_s == 1.0


def test_an_interrupted_film_leaves_nothing(tmp_path):
    def watched_in_part():
        with TokenFile(tmp_path / "film", 0.25) as file:
            file.add(torch.zeros(4, 2, 3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched_in_part()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["tokens.bin", "stream.npz", "facts.json"])
def test_a_damaged_film_counts_as_not_kept(tmp_path, damage):
    with TokenFile(tmp_path / "film", 0.25) as file:
        file.add(torch.zeros(4, 2, 3))
        file.finish(a_trajectory(np.eye(4)))
    assert TokenFile.read(tmp_path / "film") is not None
    path = tmp_path / "film" / damage
    path.write_bytes(path.read_bytes()[:-9])
    assert TokenFile.read(tmp_path / "film") is None


def test_the_films_used_longest_ago_go_first(tmp_path):
    cache = FilmCache(tmp_path, limit_bytes=5000)
    for age, name in enumerate("abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens.bin").write_bytes(bytes(2000))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    cache.prune()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_sparse_tokens_are_not_seen_as_one_window(model, film):
    """At a step of a second, a window of three would reach over two seconds, and the model knows half of one."""
    assert film._window() == 3
    assert Watched(model, film.trajectory, film.tokens[::2], 0.5)._window() == 2
    assert Watched(model, film.trajectory, film.tokens[::4], 1.0)._window() == 1


def test_spans_are_steps(film):
    assert steps_within((0.5, 1.0), 2.0, 0.25, 8) == (2, 4)
    assert steps_within((1.9, 1.95), 2.0, 0.25, 8) == (7, 8)
    assert steps_within(None, 2.0, 0.25, 8) == (0, 8)
    assert len(film.predict("What is it?").times_s) == min(MOST_STEPS, 80)


@pytest.mark.parametrize("span", [(5.0, 3.0), (3.0, 3.0), (-1.0, 2.0), (25.0, 30.0), (10.0, 99.0), (float("nan"), 2.0)])
def test_a_span_outside_the_film_is_told(film, span):
    for act in (lambda: ask(film, "What is it?", ["a", "b"], span), lambda: classify(film, ["a", "b"], span),
                lambda: similar(film.trajectory, span)):
        with pytest.raises(ValueError, match=r"must lie within the video's 0 to 20\.00 s"):
            act()


# ---- questions


def test_candidates_are_ranked_by_the_prediction_for_the_question(calibrated):
    reply = ask(calibrated, "What colour is it?", ["red", "blue", "green"], blank=True, over_time=True)
    predicted = calibrated.predict("What colour is it?").mean()
    true = dict(zip(["red", "blue", "green"], calibrated.model.embed_text(["red", "blue", "green"]) @ predicted,
                    strict=True))
    assert reply.source == "candidates"
    assert [a.text for a in reply.answers] == sorted(true, key=lambda text: -true[text])
    assert all(a.similarity == pytest.approx(true[a.text], abs=1e-5) for a in reply.answers)
    assert sum(a.probability for a in reply.answers) == pytest.approx(1)
    assert reply.margin == pytest.approx(reply.answers[0].similarity - reply.answers[1].similarity)
    assert {a.text for a in reply.blank} == set(true)
    assert reply.over_time.values.shape == (80, 3)
    np.testing.assert_allclose(reply.over_time.values.sum(axis=1), 1, atol=1e-5)
    json.dumps(reply.to_dict(), allow_nan=False)


def test_the_order_of_candidates_is_of_no_account(calibrated):
    first, second = ({a.text: round(a.similarity, 5) for a in ask(calibrated, "What is it?", answers).answers}
                     for answers in (["ball", "box", "cat"], ["cat", "box", "ball"]))
    assert first == second


def test_it_is_sure_only_above_the_threshold(film, monkeypatch):
    for sure_at, expected in ((0.0, True), (1.01, False)):
        scales = {kind: Scale(0.05, sure_at, 100, 0.0) for kind in KINDS}
        monkeypatch.setattr(film.model, "calibration", Calibration("", "", scales, CALIBRATION.presence))
        assert ask(film, "Is there a ball?", ["yes", "no"]).sure is expected


def test_without_a_calibration_there_are_similarities_and_it_says_so(film):
    assert film.model.calibration is None
    reply, labelling = ask(film, "Is there a ball?", ["yes", "no"]), classify(film, ["ball", "box"])
    assert [a.probability for a in reply.answers] == [None, None]
    assert labelling.probabilities is None
    assert not reply.sure
    assert UNCALIBRATED in reply.notes
    assert UNCALIBRATED in labelling.notes


def test_without_candidates_built_in_words_are_ranked_and_a_sentence_is_decoded(calibrated):
    reply = ask(calibrated, "What is on the table?")
    assert reply.source == "vocabulary"
    assert len(reply.answers) == 8
    assert {a.text for a in reply.answers} <= set(all_answers())
    assert reply.decoded
    assert [a.text for a in ask(calibrated, "Is there a dog?").answers] in (["yes", "no"], ["no", "yes"])


def test_open_questions_are_ranked_over_what_they_ask_for():
    assert "red" in built_in_answers("What color is the car?")
    assert "two" in built_in_answers("How many dogs are there?")
    assert {"table", "dog", "swimming"} <= set(built_in_answers("What is it?"))
    assert not {"red", "two"} & set(built_in_answers("What is it?"))


@pytest.mark.parametrize(("question", "answers", "told"), [
    ("", ["a", "b"], "the question is empty"),
    (" \n\t", None, "the question is empty"),
    ("What?", ["dog"], "give at least 2 different answers, got 1"),
    ("What?", ["dog", " DOG "], "give at least 2 different answers, got 1"),
    ("What?", [], "give at least 2 different answers, got 0"),
    ("What?", ["dog", "x y " * 50], r"has \d+ tokens, and the model reads 32: shorten it"),
    ("why " * 500, ["a", "b"], "is too long.*ask in fewer words"),
    ("What?", [f"answer {i}" for i in range(1001)], "at most 1000 answers"),
])
def test_unusable_questions_are_told_in_one_line(film, question, answers, told):
    with pytest.raises(ValueError, match=told) as caught:
        ask(film, question, answers)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_duplicates_are_counted_once_and_it_says_so(calibrated):
    reply = ask(calibrated, "What is it?", ["dog", "cat", "Dog", "cat "])
    assert sorted(a.text for a in reply.answers) == ["cat", "dog"]
    assert any("2 answer(s) were given twice" in note for note in reply.notes)


@pytest.mark.parametrize(("question", "readable"), [
    ("Is there a ball?", True), ("Is there a 🌸?", False), ("🚗🚗🚗?", False), ("Как цвет?", False),
])
def test_a_question_that_cannot_be_read_is_told_and_never_sure(film, monkeypatch, question, readable):
    scales = {kind: Scale(0.05, 0.0, 100, 0.0) for kind in KINDS}
    monkeypatch.setattr(film.model, "calibration", Calibration("", "", scales, CALIBRATION.presence))
    reply = ask(film, question, ["yes", "no"], over_time=True)
    assert reply.sure is readable
    assert reply.over_time.sure_at == (0.0 if readable else None)
    assert [f'The question "{question}" holds characters' in note for note in reply.notes] == [True] * (not readable)


def test_another_script_is_unreadable_though_the_vocabulary_has_its_letters():
    tokenizer = TextTokenizer.from_file(SHIPPED / "everyday/query_tokenizer.json", None)
    assert tokenizer.unknown(["Как цвет?", "犬?", "Is there a 🌸?"]) == [True] * 3
    assert tokenizer.unknown(["Where is the café?", "Is it a dog - or 2 cats?", "qwxz?", "???"]) == [False] * 4


@pytest.mark.parametrize("odd", ["собака и кот", "犬", "😀", "<img src=x onerror=alert(1)>", "${alert(1)}", "{} {0}",
                                 "'; --"])
def test_any_script_or_markup_comes_back_as_it_was(calibrated, odd):
    reply = ask(calibrated, odd, [odd, "dog"])
    assert reply.question == odd
    assert odd in {a.text for a in reply.answers}
    assert odd in classify(calibrated, [odd, "dog"]).labels
    assert np.isfinite(find(calibrated.model, calibrated.trajectory, odd).similarity).all()


# ---- labels


def test_labels_are_scored_in_every_prompt(calibrated):
    found = classify(calibrated, ["ball", "box"])
    model = calibrated.model
    embeddings = [normalise(model.embed_text([p.format(x) for p in PROMPTS]).mean(axis=0, keepdims=True))[0]
                  for x in ("ball", "box")]
    true = np.array(embeddings) @ calibrated.predict(QUERY).mean()
    np.testing.assert_allclose(found.similarities, true, atol=1e-5)
    assert sum(found.probabilities) == pytest.approx(1)
    assert found.over_time.shape == (80, 2)
    assert found.segments[0].start_s == 0.0
    assert found.segments[-1].end_s == SECONDS
    assert all(a.end_s == b.start_s for a, b in zip(found.segments, found.segments[1:], strict=False))


def test_other_labels_do_not_touch_the_video(calibrated, monkeypatch):
    classify(calibrated, ["ball", "box"])
    for name in ("predict", "encode_clips"):
        monkeypatch.setattr(type(calibrated.model), name, lambda *_: pytest.fail("looked at the video again"))
    assert classify(calibrated, ["cat", "dog", "house"]).labels == ["cat", "dog", "house"]


def test_several_labels_stand_each_for_itself(calibrated):
    alone = classify(calibrated, ["ball"], several=True)
    among = classify(calibrated, ["ball", "box", "cat"], several=True)
    assert alone.probabilities[0] == pytest.approx(among.probabilities[0], abs=1e-4)
    assert all(0 <= p <= 1 for p in among.probabilities)


def test_five_hundred_labels_are_fine_and_one_is_not(calibrated):
    assert len(classify(calibrated, [f"thing {i}" for i in range(500)]).probabilities) == 500
    with pytest.raises(ValueError, match="give at least 2 different labels, got 1"):
        classify(calibrated, ["dog"])
    with pytest.raises(ValueError, match=r"has 10,000 characters, more than the 500 that are compared: shorten it"):
        classify(calibrated, ["dog", "x" * 10_000])
    with pytest.raises(ValueError, match=r"a prompt needs \{\}"):
        classify(calibrated, ["dog", "cat"], prompts=["a photo"])


def test_label_segments_follow_the_likeliest_label_and_ignore_a_flicker():
    values = np.zeros((16, 2))
    values[:8, 0], values[8:, 1] = 1, 1
    values[3] = (0.4, 0.6)
    found = label_spans(np.arange(16) / 4, values, ["a", "b"], 4.0)
    assert [(s.start_s, s.end_s, s.label) for s in found] == [(0.0, 2.0, "a"), (2.0, 4.0, "b")]


def test_the_table_of_labels_reads_back(calibrated):
    found = classify(calibrated, ['=1+1 "quoted", so', "cat"])
    rows = list(csv.reader(io.StringIO(found.to_csv())))
    assert rows[0] == ["time_s", "'=1+1 \"quoted\", so", "cat"]  # no spreadsheet may run it
    assert len(rows) == 81
    json.dumps(found.to_dict(), allow_nan=False)


# ---- moments


def a_trajectory(embeddings, rate_hz=4.0):
    steps = len(embeddings)
    video = VideoInfo("made up", steps / rate_hz, 25.0, 1, 1)
    times_s, embeddings = np.arange(steps) / rate_hz, np.asarray(embeddings, dtype=np.float32)
    return Trajectory(times_s, embeddings, video, rate_hz, None, "none")


@pytest.fixture
def scenes(model):
    """Four scenes of 5 s along the embeddings of three texts: a, b, a, c."""
    texts = ["a red ball", "two blue boxes on green", "three white flags"]
    a, b, c = model.embed_text(texts)
    noise = np.random.default_rng(0).normal(size=(80, len(a))) * 0.005
    return texts, a_trajectory(normalise(np.repeat([a, b, a, c], 20, axis=0) + noise))


def test_a_text_finds_its_scene_with_the_true_cosine_and_duplicates_together(model, scenes):
    texts, trajectory = scenes
    found = find(model, trajectory, texts[0])
    best = found.moments[0]
    assert {(best.start_s, best.end_s), *best.also} == {(0.0, 5.0), (10.0, 15.0)}
    assert best.similarity == pytest.approx(1.0, abs=0.02)
    assert best.start_s <= best.peak_s < best.end_s
    assert found.similarity[round(best.peak_s * 4)] == pytest.approx(max(found.similarity), abs=0.01)
    assert find(model, trajectory, texts[2]).moments[0].start_s == 15.0


def test_moments_like_a_moment_leave_itself_out(scenes):
    _, trajectory = scenes
    found = similar(trajectory, (0.5, 4.0))
    assert (found.moments[0].start_s, found.moments[0].end_s) == (10.0, 15.0)
    assert all(m.start_s >= 5.0 for m in found.moments)


def test_groups_gather_what_is_alike():
    a, b, c = np.array([1.0, 0.0]), normalise(np.array([[1.0, 0.1]]))[0], np.array([0.0, 1.0])
    assert grouped(np.array([a, c, b])) == [[0, 2], [1]]


def test_nothing_to_find_is_told(model, scenes):
    with pytest.raises(ValueError, match="the text to find is empty"):
        find(model, scenes[1], "  ")
    with pytest.raises(ValueError, match="at least 1 moment"):
        find(model, scenes[1], "ball", most=0)


def test_a_film_of_one_scene_has_nothing_like_it(scenes):
    _, trajectory = scenes
    whole = moments.similar(trajectory, (0.0, 20.0))
    assert whole.moments == []


def test_lists_are_split_at_commas_semicolons_and_lines():
    assert split_list(" a, b ;c\n\n d ,") == ["a", "b", "c", "d"]


# ---- on the command line


def test_ask_on_the_command_line(smoke, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path))
    words = ["ask", str(video), "--question", "What colour is it?", "--checkpoint", str(smoke)]
    assert main([*words, "--answers", "red, blue,green", "--from", "2", "--to", "5", "--json"]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert reply["question"] == "What colour is it?"
    assert [sorted(a) for a in reply["answers"]] == [["probability", "similarity", "text"]] * 3
    assert isinstance(reply["decoded"], str)
    assert reply["sure"] is False
    assert main([*words, "--over-time", "--blank"]) == 0
    shown = capsys.readouterr().out
    assert "Not sure. From built-in answers. Decoded without any: " in shown
    assert shown.splitlines()[0].split() == ["prob", "sim", "blank", "answer"]


def test_classify_on_the_command_line(smoke, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VLJEPA_CACHE", str(tmp_path))
    words = ["classify", str(video), "--labels", "ball,box,cat", "--checkpoint", str(smoke)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["labels"] == ["ball", "box", "cat"]
    assert "probabilities" in found
    assert "times" not in found
    assert main([*words, "--json", "--over-time", "--csv", str(tmp_path / "labels.csv")]) == 0
    timed = json.loads(capsys.readouterr().out)
    assert len(timed["times"]) == len(timed["over_time"]) == 80
    assert (tmp_path / "labels.csv").read_text().splitlines()[0] == "time_s,ball,box,cat"
    assert main([*words, "--over-time"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["prob", "sim", "label"]


@pytest.mark.parametrize(("words", "told"), [
    (["ask", "FILM", "--question", " "], "the question is empty"),
    (["ask", "FILM", "--question", "what " * 300], "is too long"),
    (["ask", "none.mp4", "--question", "What?"], "does not exist"),
    (["ask", "FILM", "--question", "What?", "--answers", "dog"], "at least 2 different answers"),
    (["ask", "FILM", "--question", "What?", "--from", "5", "--to", "2"], "--from must be before --to, got 5 and 2"),
    (["ask", "FILM", "--question", "What?", "--to", "30"], "within the film's 0 to 20.0 s, got 0 to 30"),
    (["classify", "FILM", "--labels", "dog,dog"], "at least 2 different labels"),
    (["classify", "FILM", "--labels", ",", "--several"], "at least 1 different label"),
    (["classify", "FILM", "--labels", "dog,cat", "--from", "90"], "within the film's 0 to 20.0 s, got 90 to its end"),
    (["classify", "FILM", "--labels", "dog,cat", "--csv", "FOLDER"], "is a folder: give --csv a file"),
    (["classify", "FILM", "--labels", "dog,cat", "--csv", "FOLDER/none/labels.csv"], "there is no folder"),
])
def test_bad_words_are_one_line_before_the_film_is_watched(smoke, video, tmp_path, words, told, monkeypatch, capsys):
    monkeypatch.setattr("vljepa.watched.watch", lambda *_, **__: pytest.fail("watched"))
    given = [word.replace("FILM", str(video)).replace("FOLDER", str(tmp_path)) for word in words]
    assert main([*given, "--checkpoint", str(smoke)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert told in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_the_header_allows_and_the_film_does_not_is_told(smoke, video, cache, monkeypatch, capsys):
    monkeypatch.setattr("vljepa.watched.FilmCache", lambda: cache)
    assert main(["classify", str(video), "--labels", "dog,cat", "--to", "20.9", "--checkpoint", str(smoke)]) == 2
    assert "the time range must lie within the video's 0 to 20.00 s" in capsys.readouterr().err


def test_times_of_a_part_are_0_or_more(video, capsys):
    for option in ("--from", "--to"):
        with pytest.raises(SystemExit, match="2"):
            main(["ask", str(video), "--question", "What?", option, "-1"])
        assert f"argument {option}: must be 0 seconds or more, got -1" in capsys.readouterr().err
