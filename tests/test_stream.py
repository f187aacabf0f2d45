"""The stream: every frame once, windows that never see the future, bounded memory, and a clean end."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import numpy as np
import pytest
import torch

import vljepa
from vljepa import VideoError
from vljepa.stream import BATCH, pool_of_cores
from vljepa.video import open_video


@pytest.fixture(scope="module")
def model(smoke):
    return vljepa.load(smoke, device="cpu")


def write_film(path, colours, seconds_each=1.0, fps=8):
    """A film of plain colours, one after the other."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for colour in colours:
            for _ in range(round(seconds_each * fps)):
                picture = np.full((64, 64, 3), colour, dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    colours = [(220, 30, 30), (30, 200, 40), (40, 50, 220)] * 3
    return write_film(tmp_path_factory.mktemp("film") / "colours.mp4", colours)


def test_a_stream_has_a_unit_embedding_for_each_step(model, film):
    trajectory = model.embed(film, rate_hz=4.0).collect()
    np.testing.assert_allclose(trajectory.times_s, np.arange(36) / 4)
    np.testing.assert_allclose(np.linalg.norm(trajectory.embeddings, axis=1), 1, atol=1e-5)
    assert trajectory.video.seconds == pytest.approx(9.0, abs=0.1)
    assert set(trajectory.timing_s) == {"read", "encode", "predict"}


def test_each_frame_is_encoded_once(model, film, monkeypatch):
    seen = []
    encode = model.encode_frames
    monkeypatch.setattr(model, "encode_frames", lambda frames: seen.append(len(frames)) or encode(frames))
    steps = model.embed(film, rate_hz=4.0).collect()
    assert sum(seen) == len(steps.times_s) == 36
    assert max(seen) <= BATCH


def test_windows_are_causal_and_the_same_across_batches(model, film):
    """Step k from its own window of frames alone, computed by hand, whatever batch it fell in."""
    found = model.embed(film, rate_hz=4.0).collect().embeddings
    side, window = model.config.x_encoder.image_size, model.config.predictor.window_frames
    with open_video(film) as video:
        frames = np.stack([frame.image for frame in video.frames(4.0, (side, side))])
    tokens = torch.cat([model.encode_frames(frames[k : k + BATCH]) for k in range(0, len(frames), BATCH)])
    for k in (0, 1, 2, 5, BATCH - 1, BATCH, BATCH + 1, 35):
        alone = model.predict(tokens[None, max(0, k - window + 1) : k + 1])[0]
        assert alone @ found[k] > 0.999


def test_a_query_changes_the_stream(model, film):
    caption = model.embed(film, rate_hz=2.0).collect().embeddings
    asked = model.embed(film, query="What colour is the ball?", rate_hz=2.0).collect().embeddings
    assert (caption * asked).sum(axis=1).min() < 0.99


def test_steps_come_before_the_film_has_ended(model, film):
    steps = iter(model.embed(film, rate_hz=4.0))
    assert next(steps).time_s == 0.0
    steps.close()
    assert not [t for t in threading.enumerate() if t.name == "video-reader"]


def test_an_exception_in_progress_cancels_and_closes(model, film):
    class Cancelled(Exception):
        pass

    def progress(seconds_done):
        if seconds_done > 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        model.embed(film, rate_hz=4.0).collect(progress)
    assert not [t for t in threading.enumerate() if t.name == "video-reader"]


@pytest.mark.parametrize("query", ["", "  \n "])
def test_an_empty_query_is_refused_before_the_video_is_opened(model, query):
    with pytest.raises(ValueError, match="query is empty"):
        model.embed("does-not-matter.mp4", query=query)


def test_a_query_too_long_is_refused(model, film):
    with pytest.raises(ValueError, match="fewer words"):
        model.embed(film, query="what is this and that " * 30)


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, 1000.0, float("nan")])
def test_an_impossible_rate_is_refused(model, film, rate_hz):
    with pytest.raises(ValueError, match="rate_hz must be"):
        model.embed(film, rate_hz=rate_hz)


def test_a_missing_video_is_one_sentence(model, tmp_path):
    with pytest.raises(VideoError):
        model.embed(tmp_path / "nothing.mp4")


def test_both_readouts_say_who_they_are(model):
    embeddings = model.embed_text(["two red balls on a blue ground"])
    assert [c.readout for c in model.decode(embeddings, "bank")] == ["bank"]
    written = model.decode(embeddings, "decoder")[0]
    assert written.readout == "decoder"
    assert -1 <= written.similarity <= 1
    with pytest.raises(ValueError, match="readout must be one of decoder, bank"):
        model.decode(embeddings, "oracle")
    assert model.decode(embeddings[:0]) == []


def test_texts_must_say_something(model):
    with pytest.raises(ValueError, match="text 2 of 2 is empty"):
        model.embed_text(["a dog", " "])
    with pytest.raises(ValueError, match="at least one text"):
        model.embed_text([])


def test_the_order_of_texts_is_kept(model):
    texts = [("very " * n + "red ball").strip() for n in (3, 0, 2, 5, 1)]
    together = model.embed_text(texts)
    alone = np.concatenate([model.embed_text([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.999


def test_a_clip_encoder_streams_too(model, film):
    """The paper's kind of X-Encoder, in miniature: windows are encoded whole."""
    import torch

    from vljepa.config import SMOKE, XEncoderConfig
    from vljepa.model import VLJEPA

    torch.manual_seed(0)
    x_encoder = XEncoderConfig(architecture="vjepa2", image_size=32, hidden=24, layers=1, heads=2)
    config = replace(SMOKE, x_encoder=x_encoder, y_decoder=None,
                     predictor=replace(SMOKE.predictor, window_frames=4, learned_positions=False))
    clip_model = VLJEPA(config, model.query_tokenizer, model.text_tokenizer).eval()
    steps = clip_model.embed(film, rate_hz=2.0).collect()
    with vljepa.open_video(film) as video:
        frames = np.stack([f.image for f in video.frames(2.0, (32, 32))])
    alone = clip_model.predict(clip_model.encode_clips(torch.from_numpy(frames[None, -4:])))[0]
    np.testing.assert_allclose(steps.embeddings[-1], alone, atol=1e-5)


def test_a_stream_shares_the_cores_among_its_threads_and_leaves_other_threads_alone():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        with pool_of_cores(2) as pool:
            both = threading.Barrier(2)
            shares = list(pool.map(lambda _: (both.wait(), torch.get_num_threads())[1], range(2)))
            with ThreadPoolExecutor(1) as other:
                later = other.submit(torch.get_num_threads).result()
            assert (shares, torch.get_num_threads(), later) == ([2, 2], 4, 4)
    finally:
        torch.set_num_threads(before)


def test_ctrl_c_while_the_pool_begins_leaves_no_thread_waiting(monkeypatch):
    class Interrupted(threading.Barrier):
        def wait(self, timeout=None):
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr("vljepa.stream.threading.Barrier", Interrupted)
    with pytest.raises(KeyboardInterrupt), pool_of_cores(2):
        pass
    assert not [t for t in threading.enumerate() if t.name.startswith("vljepa-stream")]


def test_batches_worked_on_at_once_come_out_in_order_and_as_one_after_the_other(model, film, monkeypatch):
    slow = itertools.cycle([0.05, 0.0])  # every other batch would be overtaken
    encode = model.encode_frames
    monkeypatch.setattr(model, "encode_frames", lambda frames: time.sleep(next(slow)) or encode(frames))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        together = model.embed(film, rate_hz=8.0).collect()
        torch.set_num_threads(1)
        alone = model.embed(film, rate_hz=8.0).collect()
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(together.times_s, np.arange(72) / 8)
    assert (together.embeddings * alone.embeddings).sum(axis=1).min() > 0.999


def test_what_goes_wrong_in_a_batch_is_raised_and_ends_the_threads(model, film, monkeypatch):
    def broken(_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model, "encode_frames", broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.embed(film).collect()
    assert not [t for t in threading.enumerate() if t.name.startswith(("video-reader", "vljepa-stream"))]
