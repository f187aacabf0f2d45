"""A live session becomes a film of Explore: pictures as a video, embeddings as a stream, its cuts as a reference."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np

from app.frame_log import FrameLog
from app.pictures import decode_jpeg
from vljepa.recording import Recording
from vljepa.stream import Trajectory

FPS = 10  # of the film: as many as a live session shows
HEIGHT = 288  # pixels; the pictures were taken for the model, which sees fewer
CODEC = {"preset": "veryfast", "crf": "23"}
STREAM_RATE_HZ = 8.0  # at most; the step of the stream that Ward's clustering sees
Progress = Callable[[float], None]


@dataclass(frozen=True)
class KeptSession:
    """What `keep` takes along. `zero_s` is the recording's second 0 on the clock of the pictures; `aspect` is width by
    height of what the camera really sees, None where the pictures have that shape themselves."""

    title: str
    recording: Recording
    frames: FrameLog
    zero_s: float
    aspect: float | None

    def span_s(self) -> tuple[float, float]:
        """From when to when, on the recording's clock, there are both pictures and embeddings. ValueError if never."""
        times = self.frames.times_s()
        last_s = float(self.recording.trajectory.times_s[-1])
        start_s = max(0.0, times[0] - self.zero_s) if times else last_s
        if last_s - start_s < 1.0:
            raise ValueError("this session is too short to be a film: let it run for a few seconds more")
        return start_s, last_s

    def stream(self) -> Trajectory:
        """The embeddings at equal steps from the start of the span on."""
        start_s, end_s = self.span_s()
        rate_hz = min(STREAM_RATE_HZ, max(1.0, float(round(self.recording.trajectory.rate_hz))))
        whole = self.recording.resampled(rate_hz)
        first = int(np.ceil(start_s * rate_hz - 1e-6))
        width, height = size(self)  # of the film that is made, not of the square that the model was given
        video = replace(whole.video, path=self.title, seconds=end_s - first / rate_hz + 1 / rate_hz, fps=float(FPS),
                        width=width, height=height)
        return replace(whole, times_s=np.arange(len(whole.times_s) - first) / rate_hz,
                       embeddings=whole.embeddings[first:], video=video)

    def boundaries_s(self) -> list[float]:
        """The cuts made while it ran, on the film's clock."""
        start_s, _ = self.span_s()
        return [second - start_s for second in self.recording.boundaries_s if second > start_s]


def write_film(kept: KeptSession, path: Path, progress: Progress) -> None:
    """The pictures of the span as an MP4 that browsers play; `progress` is told 0 to 1 and may raise to cancel."""
    start_s, end_s = kept.span_s()
    total = max(1, round((end_s - start_s) * FPS) + 1)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as out:
        stream = out.add_stream("libx264", rate=FPS, options=CODEC)
        width, height = size(kept)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for k in range(total):
            picture = decode_jpeg(kept.frames.at(kept.zero_s + start_s + k / FPS))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(width, height, "yuv420p")
            frame.pts = k
            out.mux(stream.encode(frame))
            progress((k + 1) / total)
        out.mux(stream.encode(None))


def size(kept: KeptSession) -> tuple[int, int]:
    """Width and height of the film in pixels, both even, as its codec demands."""
    height, width = decode_jpeg(kept.frames.at(float("-inf"))).shape[:2]
    aspect = min(4.0, max(0.25, width / height if kept.aspect is None else kept.aspect))
    return 2 * round(HEIGHT * aspect / 2), HEIGHT
