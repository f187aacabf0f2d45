"""The library: what it keeps, finds and refuses, and that a kill at any moment costs nothing but time."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import numpy as np
import pytest
import torch

import vljepa
from vljepa import checkpoint  # noqa: F401 - `vljepa.load` imports it later, in the middle of a test
from vljepa.__main__ import main
from vljepa.bench_shared import write_video
from vljepa.errors import LibraryError
from vljepa.indexing import Outcome, embed_here, embed_video, find_videos, index, open_or_create, stamp_of
from vljepa.library import About, Entry, Library, Stamp
from vljepa.readout import normalise

ROOT = Path(__file__).resolve().parent.parent
DIM = 8
ABOUT = About("everyday", "0123", {"rate_hz": 4.0, "cut": "auto"})


def embeddings_of(path, count=3):
    return normalise(np.random.default_rng(abs(hash(str(path))) % 2**32).normal(size=(count, DIM)))


def made_up(videos):
    """An engine that embeds by drawing numbers; names with "bad" cannot be read."""
    for path in videos:
        if "bad" in path.name:
            yield Entry(str(path), stamp_of(path), 0.0, [], np.zeros((0, DIM)), f"{path.name} is broken")
        else:
            yield Entry(str(path), stamp_of(path), 3.0, [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], embeddings_of(path))


@pytest.fixture
def library(tmp_path):
    return Library.create(tmp_path / "clips.library", ABOUT, DIM)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "clips"
    (folder / "more").mkdir(parents=True)
    for name in ("a.mp4", "b.MOV", "more/c.webm", "notes.txt", ".hidden.mp4"):
        (folder / name).write_bytes(name.encode())
    return folder


def rows(path, sql):
    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(sql).fetchall()


# ---- keeping up with a folder


def test_new_files_are_indexed_and_unchanged_ones_are_left_alone(library, folder):
    assert index(library, folder, made_up) == Outcome(3, 0, {}, [], 0)
    assert index(library, folder, lambda videos: pytest.fail("indexed again") if list(videos) else iter(())) \
        == Outcome(0, 3, {}, [], 0)
    assert library.counts() == (3, 9, 0)


def test_a_changed_file_replaces_what_was_known_of_it(library, folder):
    index(library, folder, made_up)
    (folder / "a.mp4").write_bytes(b"something longer")
    assert index(library, folder, made_up) == Outcome(1, 2, {}, [], 0)
    assert library.counts() == (3, 9, 0)


def test_a_file_that_went_away_stays_until_it_is_forgotten(library, folder):
    index(library, folder, made_up)
    gone = folder / "more" / "c.webm"
    gone.unlink()
    assert index(library, folder, made_up) == Outcome(0, 2, {}, [str(gone)], 0)
    assert library.counts() == (3, 9, 0)
    assert index(library, folder, made_up, forget=True) == Outcome(0, 2, {}, [], 1)
    assert library.counts() == (2, 6, 0)


def test_another_folder_does_not_count_as_gone(library, folder, tmp_path):
    index(library, folder, made_up)
    other = tmp_path / "clips of another day"
    other.mkdir()
    (other / "d.mp4").write_bytes(b"d")
    assert index(library, other, made_up, forget=True) == Outcome(1, 0, {}, [], 0)
    assert library.counts() == (4, 12, 0)


def test_broken_files_are_named_each_time_but_tried_once(library, folder):
    (folder / "bad.mp4").write_bytes(b"?")
    broken = {str(folder / "bad.mp4"): "bad.mp4 is broken"}
    assert index(library, folder, made_up) == Outcome(3, 0, broken, [], 0)
    assert index(library, folder, made_up) == Outcome(0, 3, broken, [], 0)
    (folder / "bad.mp4").unlink()
    (folder / "good.mp4").write_bytes(b"!")
    assert index(library, folder, made_up, forget=True) == Outcome(1, 3, {}, [], 1)


def test_a_name_that_is_no_text_is_named_and_left(library, folder):
    odd = os.fsencode(folder) + b"/\xff\xfe.mp4"
    Path(os.fsdecode(odd)).write_bytes(b"x")
    outcome = index(library, folder, made_up)
    assert outcome.indexed == 3
    assert ["rename it" in reason for reason in outcome.broken.values()] == [True]


def test_files_are_found_by_suffix_in_order_and_hidden_ones_are_not(folder):
    assert [p.name for p in find_videos(folder)] == ["a.mp4", "b.MOV", "c.webm"]
    with pytest.raises(LibraryError, match="is not a folder"):
        find_videos(folder / "a.mp4")


def test_two_indexers_at_once_are_told(library, folder):
    def slow(videos):
        with pytest.raises(LibraryError, match="another process is indexing into"):
            index(Library(library.path), folder, made_up)
        yield from made_up(videos)

    assert index(library, folder, slow).indexed == 3


# ---- searching


def test_search_is_exact_and_groups_near_duplicates(library, folder):
    index(library, folder, made_up)
    sought = normalise(np.random.default_rng(5).normal(size=(1, DIM)))[0]
    every = [(str(p), float(start), float(e @ sought)) for p in find_videos(folder)
             for start, e in enumerate(embeddings_of(p))]
    found = library.nearest(sought, 20)
    flat = {(h.video, h.start_s): h.similarity for hit in found for h in (hit, *hit.also)}
    assert flat == pytest.approx({(video, start): near for video, start, near in every}, abs=1e-5)
    assert found[0].similarity == pytest.approx(max(near for *_, near in every), abs=1e-5)
    copy = Entry("/elsewhere/copy.mp4", Stamp(1, 1), 3.0, [(0.0, 3.0)], embeddings_of(folder / "a.mp4")[:1])
    library.put([copy])
    hits = library.nearest(embeddings_of(folder / "a.mp4")[0])
    assert {hits[0].video, *(h.video for h in hits[0].also)} == {"/elsewhere/copy.mp4", str(folder / "a.mp4")}


def test_moments_like_a_moment_leave_itself_out(library):
    a, b = embeddings_of("a", 2)
    library.put([Entry("/x.mp4", Stamp(1, 1), 2.0, [(0.0, 1.0), (1.0, 2.0)], np.stack([a, b])),
                 Entry("/y.mp4", Stamp(1, 1), 1.0, [(0.0, 1.0)], a[None])])
    hits = library.similar("/x.mp4", (0.2, 0.8))
    assert hits[0].video == "/y.mp4"
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert ("/x.mp4", 0.0) not in {(h.video, h.start_s) for h in hits}
    with pytest.raises(ValueError, match=r"/z\.mp4 is not in the library"):
        library.similar("/z.mp4", (0.0, 1.0))
    with pytest.raises(ValueError, match=r"within the 0 to 2\.0 s of /x\.mp4.* got 3 s to 4 s"):
        library.similar("/x.mp4", (3.0, 4.0))


def test_what_is_added_is_found_at_once_and_threads_may_search(library):
    sought = embeddings_of("a", 1)[0]
    assert library.nearest(sought) == []
    library.put([Entry(f"/{i}.mp4", Stamp(1, 1), 1.0, [(0.0, 1.0)], embeddings_of(i, 1)) for i in range(20)])
    found, errors = [], []

    def search():
        try:
            found.append(len(library.nearest(sought, 50)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=search) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert errors == []
    assert len(set(found)) == 1


def test_another_library_in_the_files_place_is_noticed(library, tmp_path):
    class OtherModel:
        name, fingerprint = "everyday", "0123"

    library.put([Entry("/a.mp4", Stamp(1, 1), 1.0, [(0.0, 1.0)], embeddings_of("a", 1))])
    assert len(library.nearest(embeddings_of("a", 1)[0])) == 1
    other = Library.create(tmp_path / "other", About("smoke", "9", ABOUT.settings), DIM)
    other.path.replace(library.path)
    with pytest.raises(LibraryError, match="made with the checkpoint smoke"):
        library.search(OtherModel(), "a dog")


# ---- what cannot be used


def test_another_checkpoint_or_setting_is_refused(library):
    library.require(ABOUT)
    for other, told in ((About("smoke", "9", ABOUT.settings), "made with the checkpoint everyday, not with this smoke"),
                        (About("everyday", "9", ABOUT.settings), "everyday with other weights"),
                        (About("everyday", "0123", {"rate_hz": 2.0, "cut": "auto"}), r'"rate_hz": 4\.0.*"rate_hz": 2')):
        with pytest.raises(LibraryError, match=told):
            library.require(other)


def unusable(tmp_path, kind):
    path = tmp_path / f"{kind}.library"
    if kind == "text":
        path.write_text("a list of films\n" * 1000)
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "foreign":
        with duckdb.connect(str(path)) as database:
            database.execute("CREATE TABLE shopping (item VARCHAR)")
    return path


@pytest.mark.parametrize(("kind", "told"), [
    ("text", "is not a library"), ("empty", "not a library"), ("missing", "there is no library at"),
    ("folder", "is not a library"), ("foreign", "of something else")])
def test_what_is_no_library_is_told_and_left_as_it_was(tmp_path, kind, told, capsys):
    path = unusable(tmp_path, kind)
    before = path.read_bytes() if path.is_file() else None
    assert main(["search", str(path), "a dog"]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_damaged_library_is_told_and_left_as_it_was(library):
    library.put([Entry(f"/{i}.mp4", Stamp(1, 1), 3.0, [(0.0, 1.0)] * 3, embeddings_of(i)) for i in range(300)])
    data = bytearray(library.path.read_bytes())
    data[len(data) // 4 :] = b"x" * (len(data) - len(data) // 4)
    library.path.write_bytes(data)
    with pytest.raises(LibraryError, match=r"is damaged.*nothing was changed"):
        Library(library.path).nearest(embeddings_of("a", 1)[0])
    assert library.path.read_bytes() == bytes(data)


def test_a_locked_library_is_waited_for_and_then_told(library, monkeypatch):
    holder = subprocess.Popen([sys.executable, "-c", "import duckdb, sys; c = duckdb.connect(sys.argv[1]); "
                               "print('open', flush=True); sys.stdin.read()", str(library.path)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"open\n"
        monkeypatch.setattr("vljepa.library.PATIENCE_S", 0.3)
        with pytest.raises(LibraryError, match="in use by another program"):
            library.counts()
        monkeypatch.setattr("vljepa.library.PATIENCE_S", 60.0)
        threading.Timer(0.5, holder.stdin.close).start()
        assert library.counts() == (0, 0, 0)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="no library can be made at"):
        Library.create(tmp_path / "file" / "x.library", ABOUT, DIM)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# ---- kills

KILLED = """
import sys
from pathlib import Path
import numpy as np
from vljepa import indexing
from vljepa.library import About, Entry, Library
from vljepa.indexing import stamp_of

path, folder = Path(sys.argv[1]), Path(sys.argv[2])
indexing.COMMIT_S = 0.0  # a transaction a video: most kills fall into one
def engine(videos):
    for video in videos:
        yield Entry(str(video), stamp_of(video), 3.0, [(i * 1.0, i + 1.0) for i in range(40)],
                    np.full((40, 384), float(video.stem), dtype=np.float32))
about = About("everyday", "0123", {"rate_hz": 4.0, "cut": "auto"})
library = Library(path) if path.exists() else Library.create(path, about, 384)
print("ready", flush=True)
indexing.index(library, folder, engine, progress=lambda *_: print("entry", flush=True))
"""


def test_a_kill_at_any_moment_loses_and_doubles_nothing(tmp_path):
    folder, path = tmp_path / "clips", tmp_path / "clips.library"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.mp4").write_bytes(b"x")
    command = [sys.executable, "-c", KILLED, str(path), str(folder)]
    for lines in (1, 2, 25):  # killed right after so many lines, wherever the next transaction then is
        child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        for _ in range(lines):
            assert child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        of_each = "SELECT path, count(*), min(embedding[1]), max(embedding[1]) FROM moments GROUP BY path"
        for video, count, least, most in rows(path, of_each):
            assert (count, least, most) == (40, float(Path(video).stem), float(Path(video).stem))
        assert rows(path, "SELECT count(*) FROM videos") == rows(path, "SELECT count(DISTINCT path) FROM moments")
    assert 0 < rows(path, "SELECT count(*) FROM videos")[0][0] < 60
    assert subprocess.run(command, check=False, cwd=ROOT, capture_output=True).returncode == 0
    assert rows(path, "SELECT count(*), count(DISTINCT path) FROM videos") == [(60, 60)]
    assert rows(path, "SELECT count(*) FROM moments") == [(60 * 40,)]


# ---- the real thing, small


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number, seconds in enumerate((10.0, 2.0, 5.0)):
        write_video(folder / f"{number}.mp4", seconds)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_workers_embed_what_one_video_alone_gives(model, videos):
    threads = torch.get_num_threads()
    found = {Path(entry.path).name: entry for entry in embed_here(model, 4.0, workers=2)(find_videos(videos))}
    assert torch.get_num_threads() == threads
    assert sorted(found) == ["0.mp4", "1.mp4", "2.mp4", "broken.mp4"]
    alone = embed_video(model, videos / "0.mp4", 4.0)
    assert found["0.mp4"].spans == alone.spans
    np.testing.assert_allclose(found["0.mp4"].embeddings, alone.embeddings, atol=1e-4)
    assert alone.seconds == 10.0
    assert "broken.mp4 is not a video" in found["broken.mp4"].error


def test_a_stop_does_not_wait_for_the_end_of_a_film(model, videos):
    engine = embed_here(model, 4.0, workers=1)(find_videos(videos))
    next(engine)
    engine.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("index") and t.is_alive()]


def test_index_and_search_on_the_command_line(smoke, videos, tmp_path, capsys):
    path = tmp_path / "a.library"
    assert main(["index", str(videos), "--library", str(path), "--checkpoint", str(smoke)]) == 2
    told = capsys.readouterr()
    assert "3 indexed, 0 unchanged" in told.out
    [broken] = [line for line in told.err.splitlines() if line.startswith("not indexed")]
    assert broken.startswith(f"not indexed: {videos / 'broken.mp4'} is not a video")
    assert broken.count("broken.mp4") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["a.library"]
    assert told.err.splitlines()[-1].startswith("error: 1 file(s) could not be read")
    assert main(["search", str(path), "a red ball", "--json", "--checkpoint", str(smoke)]) == 0
    hits = json.loads(capsys.readouterr().out)
    assert hits
    assert {"video", "start_s", "end_s", "similarity"} <= set(hits[0])
    assert [h["similarity"] for h in hits] == sorted((h["similarity"] for h in hits), reverse=True)
    assert main(["search", str(path), "--like", hits[0]["video"], "--to", "1"]) == 0
    assert "video" in capsys.readouterr().out
    for words, said in ((["search", str(path), " "], "the text to find is empty"),
                        (["search", str(path), "--like", "none.mp4"], "none.mp4 is not in the library"),
                        (["search", str(path), "--like", hits[0]["video"], "--from", "60"], ".mp4, and end after its "
                         "beginning, got 60 s to the end"),
                        (["search", str(path), "--like", hits[0]["video"], "--from", "2", "--to", "1"],
                         "--from must be before --to, got 2 and 1"),
                        (["index", str(videos), "--library", str(tmp_path)], "is not a library"),
                        (["index", str(videos), "--library", str(path / "below")], "give --library a folder"),
                        (["search", str(path)], "give a text"),
                        (["index", str(videos), "--library", str(path), "--checkpoint", str(smoke), "--rate", "2"],
                         "was made with the settings")):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_a_new_rate_of_an_old_library_is_the_librarys(model, tmp_path):
    made, rate_hz = open_or_create(tmp_path / "a.library", model, 2.0)
    assert open_or_create(made.path, model, None)[1] == rate_hz == 2.0
