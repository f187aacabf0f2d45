"""What the Ask page can call, without a browser: a model that knows colours stands in for the real one."""

import base64
import csv
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from asked_colours import AskedColours
from test_app import COLOURS, film, finished, landmarks, open_film

from app.ask import handlers
from app.asking import stars
from app.engine import Engine
from app.jobs import Job
from app.pictures import encode_jpeg
from app.store import Store
from visualizations.landmark_map import place_text, place_text_3d
from vljepa.online import OnlineSettings

SCENES = ("red", "green", "blue", "white")  # two seconds each
TOKEN = "0" * 32
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{x}}"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "clip.mp4", scenes=SCENES)


@pytest.fixture
def engine(tmp_path):
    return Engine(AskedColours(), "colours-1", Store(tmp_path / "explore"))


@pytest.fixture
def opened(engine, clip):
    return open_film(engine, clip, "My film.mp4").key


def call(engine, name, **request):
    return handlers(engine, engine.store.root)[name](request)


def asked(engine, kind, **request):
    told = call(engine, "ask", kind=kind, **request)
    assert "error" not in told, told
    return told["view"]


def column(view, text, what="values"):
    strip = view["strip"]
    values = np.frombuffer(base64.b64decode(strip[what]), "<f4").reshape(-1, len(strip["texts"]))
    return values[:, strip["texts"].index(text)]


def times(view):
    return np.frombuffer(base64.b64decode(view["strip"]["times"]), "<f4")


# --- asking --------------------------------------------------------------------------------------------------------


def test_a_yes_or_no_question_says_when_the_answer_is_yes(engine, opened):
    view = asked(engine, "question", film=opened, text="Is it green?")
    assert {row["text"] for row in view["rows"]} == {"yes", "no"}
    yes = times(view)[column(view, "yes") > 0.5]
    assert (yes.min(), yes.max()) == (2.0, 3.75)
    assert view["strip"]["sure_at"] == 0.75


def test_a_part_of_the_film_is_answered_with_the_whole_film_as_evidence(engine, opened):
    view = asked(engine, "question", film=opened, text="Is it green?", span=[2.0, 4.0])
    assert (view["rows"][0]["text"], view["sure"]) == ("yes", True)
    assert times(view)[-1] == 7.75
    assert asked(engine, "question", film=opened, text="Is it green?", span=[4.0, 6.0])["rows"][0]["text"] == "no"


def test_candidates_are_ranked_with_the_true_cosine(engine, opened):
    view = asked(engine, "question", film=opened, text="What is it?", answers=["green", "red", "blue"], span=[0, 2])
    assert view["rows"][0]["text"] == "red"
    assert view["rows"][0]["similarity"] == pytest.approx(1.0, abs=0.01)
    assert view["source"] == "candidates"
    assert view["margin"] == pytest.approx(view["rows"][0]["similarity"] - view["rows"][1]["similarity"])
    assert column(view, "blue", "cosines")[20] == pytest.approx(1.0, abs=0.01)


def test_an_open_question_ranks_built_in_answers_over_time_and_decodes(engine, opened):
    view = asked(engine, "question", film=opened, text="What colour does the picture show?")
    assert view["source"] == "vocabulary"
    leads = {view["strip"]["texts"][i] for i in
             np.argmax([column(view, text) for text in view["strip"]["texts"]], axis=0)}
    assert {"red", "green", "blue", "white"} <= leads, "each scene's answer is listed, though none leads on the whole"
    assert view["decoded"]


def test_the_answer_on_a_blank_picture_comes_on_request_only(engine, opened):
    assert asked(engine, "question", film=opened, text="Is it green?")["blank"] is None
    blank = asked(engine, "question", film=opened, text="Is it green?", blank=True)["blank"]
    assert [row["probability"] for row in blank] == pytest.approx([0.5, 0.5], abs=0.01)


def test_a_question_neither_watches_nor_predicts_twice(engine, opened):
    asked(engine, "question", film=opened, text="Is it green?")
    predicted = len(engine.model.predicted)
    asked(engine, "question", film=opened, text="Is it green?")
    assert (engine.model.embedded, len(engine.model.predicted)) == (1, predicted)


def test_labels_are_scored_over_time_without_touching_the_film(engine, opened):
    view = asked(engine, "label", film=opened, labels=["red", "green", "blue", "white"])
    assert [(s["label"], s["start_s"], s["end_s"]) for s in view["segments"]] \
        == [("red", 0.0, 2.0), ("green", 2.0, 4.0), ("blue", 4.0, 6.0), ("white", 6.0, 8.0)]
    predicted = len(engine.model.predicted)
    part = asked(engine, "label", film=opened, labels=["red", "blue"])
    assert len(engine.model.predicted) == predicted
    assert len(part["rows"]) == 2
    assert asked(engine, "label", film=opened, labels=["red", "blue"], span=[4, 6])["rows"][0]["text"] == "blue"


def test_several_labels_stand_for_themselves(engine, opened):
    one = asked(engine, "label", film=opened, labels=["red", "white"])
    several = asked(engine, "label", film=opened, labels=["red", "white"], several=True)
    assert sum(row["probability"] for row in one["rows"]) == pytest.approx(1)
    assert several["several"] and several["strip"]["sure_at"] is None
    assert asked(engine, "label", film=opened, labels=["red"], several=True)["rows"][0]["text"] == "red"


def test_a_text_is_found_and_so_is_what_is_like_a_moment(engine, opened):
    view = asked(engine, "search", film=opened, text="blue")
    assert (view["moments"][0]["start_s"], view["moments"][0]["end_s"]) == (4.0, 6.0)
    assert [m["start_s"] for m in asked(engine, "search", film=opened, text="blue", span=[0, 2])["moments"]] == [0.0]
    like = asked(engine, "search", film=opened, like=[4.0, 6.0])
    assert 4.0 not in [moment["start_s"] for moment in like["moments"]]


def test_the_query_and_its_answers_are_stars_where_texts_lie_on_the_map(engine, opened):
    view = asked(engine, "question", film=opened, text="Is it green?")
    assert (view["stars"][0]["text"], view["stars"][0]["main"]) == ("Is it green?", True)
    assert {star["text"] for star in view["stars"][1:]} == {"yes", "no"}
    found = stars(engine.model, "green", [])[0]
    known, embedding = landmarks(), engine.model.embed_text(["green"])
    np.testing.assert_allclose(found.xy, place_text(known, embedding)[0])
    np.testing.assert_allclose(found.xyz, place_text_3d(known, embedding)[0])
    assert stars(AskedColours(with_map=False), "green", []) == []


def test_a_film_opened_with_another_query_is_watched_for_its_own_embeddings(engine, clip):
    key = open_film(engine, clip, query="What?").key
    assert engine.model.embedded == 1
    assert asked(engine, "search", film=key, text="blue")["moments"][0]["start_s"] == 4.0
    assert engine.model.embedded == 2


def test_what_takes_longer_is_a_job_with_progress_that_can_be_cancelled(tmp_path, clip, monkeypatch):
    monkeypatch.setattr("app.ask.AT_ONCE_S", 0.01)
    engine = Engine(AskedColours(), "colours-1", Store(tmp_path / "explore"))
    key = open_film(engine, clip, query="What?").key
    engine.model.delay_s = 0.2
    token = call(engine, "ask", kind="search", film=key, text="blue")["job"]
    job = engine.jobs.get(token)
    while job.stage != "Watching":
        assert not job.finished.is_set()
    assert call(engine, "outcome", job=token)["done"] is False
    call(engine, "cancel", job=token)
    finished(job)
    assert call(engine, "outcome", job=token) == {"job": token, "stage": job.stage, "fraction": job.fraction,
                                                  "done": True}
    engine.model.delay_s = 0.0
    token = call(engine, "ask", kind="search", film=key, text="blue")["job"]
    finished(engine.jobs.get(token))
    assert call(engine, "outcome", job=token)["view"]["moments"]


def test_a_source_that_is_gone_is_told_with_what_to_do(engine, tmp_path):
    path = film(tmp_path / "gone.mp4", scenes=("red",))
    opened = open_film(engine, path, "gone.mp4", query="What?")
    path.unlink()
    with pytest.raises(Exception, match="open it again"):
        engine.watched(opened.key, Job())


# --- the live stream ---------------------------------------------------------------------------------------------


def show(viewer, colours, start_s=1000.0):
    """Half a second of each colour, four pictures a second."""
    for k, name in enumerate(np.repeat(colours, 2)):
        viewer.frames.append(start_s + k / 4, encode_jpeg(np.full((48, 64, 3), COLOURS[name], np.uint8)))


def test_the_answer_follows_the_live_stream_and_only_what_is_new_is_predicted(engine):
    ask_live = handlers(engine, engine.store.root)["live"]
    viewer = engine.live.open(TOKEN, OnlineSettings(), None)
    question = {"token": TOKEN, "kind": "question", "text": "Is it green?"}
    assert "shown nothing yet" in ask_live(question)["error"]
    show(viewer, ["red"] * 4)
    first = ask_live(question)
    assert first["view"]["rows"][0]["text"] == "no"
    assert base64.b64decode(first["jpeg"])[:2] == b"\xff\xd8"
    before = len(engine.model.predicted)
    show(viewer, ["green"] * 4, 1002.0)
    second = ask_live(question)
    assert times(second["view"])[column(second["view"], "yes") > 0.5].tolist() == [2.0, 2.5, 3.0, 3.5]
    assert len(engine.model.predicted) - before <= 3, "the caption's, the question's; not the old moments again"
    assert len(base64.b64decode(second["path"])) == 8 * 6 * 4
    engine.live.close(TOKEN)
    assert ask_live(question) == {"running": False}
    engine.live.shut_down()


def test_the_live_stream_is_remembered_for_half_a_minute(engine):
    ask_live = handlers(engine, engine.store.root)["live"]
    viewer = engine.live.open(TOKEN, OnlineSettings(), None)
    for k in range(12):
        show(viewer, ["red", "green"] * 3, 1000.0 + 3 * k)
        told = ask_live({"token": TOKEN, "kind": "label", "labels": ["red", "green"]})
    assert told["seconds"] == 30.0
    assert len(times(told["view"])) == 60
    engine.live.shut_down()


# --- libraries -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "videos"
    inside.mkdir()
    film(inside / "one.mp4", scenes=("red", "green"))
    film(inside / "two.mp4", scenes=("blue", "green"))
    (inside / "torn.mp4").write_bytes(b"no video")
    return inside


def done(engine, told):
    assert "error" not in told, told
    finished(engine.jobs.get(told["job"]))
    return call(engine, "outcome", job=told["job"])


def test_a_folder_is_indexed_and_searched_and_what_is_found_opens(engine, folder, tmp_path):
    path = str(tmp_path / "library.duckdb")
    first = done(engine, call(engine, "index", folder=str(folder), path=path))["view"]
    assert (first["indexed"], [b["video"] for b in first["broken"]]) == (2, ["torn.mp4"])
    again = done(engine, call(engine, "index", folder=str(folder), path=path))["view"]
    assert (again["indexed"], again["unchanged"]) == (0, 2)
    about = call(engine, "library", path=path)
    assert (about["videos"], about["moments"], about["broken"]) == (2, 4, 1)
    hits = done(engine, call(engine, "search_library", path=path, text="green"))["view"]["hits"]
    assert (hits[0]["start_s"], hits[0]["end_s"]) == (2.0, 4.0)
    assert {hits[0]["title"], hits[0]["also"][0]["title"]} == {"one.mp4", "two.mp4"}, "near-duplicates are one hit"
    like = done(engine, call(engine, "search_library", path=path, video=hits[0]["video"], span=[2, 4]))["view"]["hits"]
    assert like[0]["start_s"] == 2.0 and like[0]["video"] != hits[0]["video"]
    picture = call(engine, "picture", path=path, video=hits[0]["video"], second=3.0)["url"]
    assert picture.endswith(".jpg")
    told = call(engine, "open_film", library=path, video=hits[0]["video"], query="", rate_hz=4)
    assert finished(engine.jobs.get(told["job"])).result.title == hits[0]["title"]


def test_only_what_the_library_knows_can_be_opened_through_it(engine, folder, tmp_path, clip):
    path = str(tmp_path / "library.duckdb")
    done(engine, call(engine, "index", folder=str(folder), path=path))
    for video in (str(clip), "/etc/passwd", ""):
        assert "knows no video" in call(engine, "open_film", library=path, video=video, query="", rate_hz=4)["error"]
        assert "knows no video" in call(engine, "picture", path=path, video=video, second=1)["error"]
    (folder / "one.mp4").unlink()
    told = call(engine, "open_film", library=path, video=str(folder / "one.mp4"), query="", rate_hz=4)["error"]
    assert "index its folder again" in told


def test_libraries_that_cannot_be_used_are_told_in_a_sentence(engine, folder, tmp_path):
    path = str(tmp_path / "library.duckdb")
    assert "no library at" in call(engine, "library", path=path)["error"]
    assert "not a folder" in call(engine, "index", folder=str(tmp_path / "absent"), path=path)["error"]
    assert "no folder was given" in call(engine, "index", folder=" ", path=path)["error"].lower()
    (tmp_path / "notes.txt").write_text("not a library " * 999)
    assert "not a library" in call(engine, "library", path=str(tmp_path / "notes.txt"))["error"]
    done(engine, call(engine, "index", folder=str(folder), path=path))
    assert "is empty" in call(engine, "search_library", path=path, text=" ")["error"]
    foreign = Engine(AskedColours(), "other", Store(tmp_path / "explore"))
    foreign.model.fingerprint = "other-weights"
    assert "cannot be mixed" in call(foreign, "search_library", path=path, text="green")["error"]
    assert "cannot be mixed" in call(foreign, "index", folder=str(folder), path=path)["error"]
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    assert "\n" not in call(engine, "library", path=path)["error"]


def test_libraries_are_for_who_sits_at_this_machine(engine):
    engine.alone = False
    assert "listens to others" in call(engine, "library", path="")["error"]
    assert call(engine, "hello")["library"] is None


def test_indexing_can_be_cancelled_and_keeps_what_is_done(engine, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ask.AT_ONCE_S", 0.01)
    folder, path = tmp_path / "videos", str(tmp_path / "library.duckdb")
    folder.mkdir()
    for number in range(6):
        film(folder / f"{number}.mp4", scenes=("red",))
    engine.model.delay_s = 0.05
    token = call(engine, "index", folder=str(folder), path=path)["job"]
    job = engine.jobs.get(token)
    while job.fraction == 0.0:
        assert not job.finished.is_set()
        time.sleep(0.01)
    call(engine, "cancel", job=token)
    finished(job)
    assert job.cancelled
    engine.model.delay_s = 0.0
    kept = call(engine, "library", path=path)["videos"]
    assert 0 < kept < 6
    rest = done(engine, call(engine, "index", folder=str(folder), path=path))["view"]
    assert (rest["indexed"], rest["unchanged"]) == (6 - kept, kept)


# --- downloads -----------------------------------------------------------------------------------------------------


def test_every_kind_of_result_is_valid_json_and_csv_under_the_films_name(engine, opened):
    requests = {"question": {"text": "Is it green?"}, "label": {"labels": ["red", "blue"]}, "search": {"text": "blue"}}
    for kind, request in requests.items():
        files = call(engine, "export", kind=kind, film=opened, **request)["files"]
        assert [file["name"] for file in files] == [f"My-film-{kind}.json", f"My-film-{kind}.csv"]
        told, table = json.loads(files[0]["text"]), list(csv.reader(io.StringIO(files[1]["text"])))
        assert told
        assert len({len(row) for row in table}) == 1
    labels = call(engine, "export", kind="label", film=opened, labels=["red", "=green"])["files"][1]["text"]
    assert labels.splitlines()[0] == "time_s,red,'=green", "no formula for a spreadsheet"


# --- bad input -----------------------------------------------------------------------------------------------------

BAD = [
    ("question", {"text": ""}, "question is empty"),
    ("question", {"text": "   "}, "question is empty"),
    ("question", {"text": "why " * 99}, "too long"),
    ("question", {"text": "Is it?", "answers": ["red"]}, "at least 2 different answers"),
    ("question", {"text": "Is it?", "answers": ["red", "RED ", "red"]}, "at least 2 different answers"),
    ("label", {"labels": []}, "at least 2 different labels"),
    ("label", {"labels": ["red"]}, "at least 2 different labels"),
    ("label", {"labels": ["red", "x" * 10_000]}, "10,000 characters"),
    ("label", {"labels": [f"label {i}" for i in range(1500)]}, "t most 1000 labels"),
    ("label", {"labels": ["red", "blue"], "prompts": ["a photo"]}, "prompt needs {}"),
    ("search", {"text": " "}, "text to find is empty"),
    ("search", {"text": "blue", "span": [5, 3]}, "must lie within"),
    ("question", {"text": "Is it?", "span": [90, 99]}, "must lie within"),
    ("question", {"text": "Is it?", "span": [float("nan"), 2]}, "must lie within"),
    ("question", {"text": "Is it?", "span": ["a", 2]}, "two numbers"),
    ("search", {"like": [0, 99]}, "must lie within"),
    ("nonsense", {}, "kind must be"),
]


@pytest.mark.parametrize(("kind", "request_", "reason"), BAD)
def test_bad_input_is_one_clear_sentence(engine, opened, kind, request_, reason):
    told = call(engine, "ask", kind=kind, film=opened, **request_)["error"]
    assert reason in told
    assert "\n" not in told and told.endswith(".")


def test_a_film_that_is_not_open_is_told(engine):
    assert "open it again" in call(engine, "ask", kind="search", film="gone", text="blue")["error"]


def test_other_scripts_markup_and_emoji_come_back_as_they_were(engine, opened):
    labels = [HOSTILE, "кошка", "猫", "🐈"]
    view = asked(engine, "label", film=opened, labels=labels)
    assert {row["text"] for row in view["rows"]} == set(labels)
    assert "cannot read" in " ".join(view["notes"]), "the emoji is unknown to the tokenizer, and it says so"


def test_a_question_that_cannot_be_read_is_named_and_nothing_is_sure(engine, opened):
    for answers in ([], ["red", "green"]):
        view = asked(engine, "question", film=opened, text="Is it red 🌸?", answers=answers)
        assert 'The question "Is it red 🌸?" holds characters' in view["notes"][0]
        assert view["sure"] is False and view["strip"]["sure_at"] is None


def test_duplicates_count_once_and_it_is_said(engine, opened):
    view = asked(engine, "label", film=opened, labels=["red", "Red", "blue"])
    assert len(view["rows"]) == 2
    assert "given twice" in view["notes"][0]


def test_five_hundred_labels_are_scored(engine, opened):
    view = asked(engine, "label", film=opened, labels=[f"thing {i}" for i in range(499)] + ["green"])
    assert len(view["strip"]["texts"]) == 500


def test_without_a_calibration_there_are_cosines_and_nothing_is_sure(engine, opened, monkeypatch):
    monkeypatch.setattr(engine.model, "calibration", None)
    view = asked(engine, "question", film=opened, text="Is it green?", span=[2, 4])
    assert view["rows"][0] == {"text": "yes", "similarity": pytest.approx(1.0, abs=0.01), "probability": None}
    assert view["sure"] is False and view["strip"]["sure_at"] is None
    assert "calibration" in view["notes"][0]
    assert call(engine, "hello")["calibrated"] is False


def test_two_viewers_ask_different_things_of_one_film(engine, opened):
    green, red = (asked(engine, "question", film=opened, text=f"Is it {name}?") for name in ("green", "red"))
    assert times(green)[column(green, "yes") > 0.5].min() == 2.0
    assert times(red)[column(red, "yes") > 0.5].max() < 2.0
