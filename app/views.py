"""What the page is sent: films and cuts as small JSON, long arrays as base64 of little-endian float32."""

import base64
import math
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from app.film import Cut, Film, Place
from app.jobs import Job
from visualizations.landmark_map import Landmarks
from vljepa.analysis import spans

DRAWN = 4000  # points of a curve or a trajectory that a page is sent at most; a screen has no more


def film_view(film: Film) -> dict[str, Any]:
    """A film for the page. `steps` are sent thinned to every `stride`-th on the map; cuts keep them all."""
    trajectory = film.trajectory
    video = trajectory.video
    return {
        "key": film.key, "title": film.title, "media": file_url(film.media), "seconds": film.seconds,
        "fps": video.fps, "width": video.width, "height": video.height, "rate_hz": trajectory.rate_hz,
        "lag_s": trajectory.lag_s, "query": trajectory.query, "steps": len(trajectory.times_s),
        "warning": trajectory.warning,
        "timing_s": trajectory.timing_s, "map": place_view(film.place),
        "reference_s": film.reference_s,
    }


def place_view(place: Place) -> dict[str, Any]:
    """A stream's place on the map, thinned."""
    stride = -(-len(place.xy) // DRAWN)
    return {"kind": place.kind, "stride": stride, "xy": packed(place.xy[::stride]), "xyz": packed(place.xyz[::stride]),
            "agreement": place.agreement}


def cut_view(film: Film, cut: Cut) -> dict[str, Any]:
    """A cut for the page; captions still to be read are null. `uniform_1hz` is what decoding every second costs."""
    return {
        "segments": [
            {"start_s": start_s, "end_s": end_s, "caption": caption and caption.text,
             "similarity": caption and round(caption.similarity, 3)}
            for (start_s, end_s), caption in zip(spans(film.trajectory, cut.segments), cut.captions, strict=True)
        ],
        "strength": packed(_peaks(cut.strength)),
        "agreement": film.agreement(cut),
        "missing": cut.missing, "decoded": film.decoded,
        "decodes": {"selective": len(cut.segments), "uniform_1hz": math.ceil(film.seconds)},
    }


def job_view(job: Job, points_seen: int) -> dict[str, Any]:
    """How far a job is, with the points that the page has not drawn yet."""
    fresh = job.points[points_seen:]
    preview = {**job.preview, "media": file_url(job.preview["media"])} if job.preview else None
    view = {"stage": job.stage, "fraction": job.fraction, "preview": preview, "points_seen": points_seen + len(fresh),
            "points": packed(np.concatenate(fresh)) if fresh else ""}
    if job.finished.is_set():
        view |= {"done": True, "cancelled": job.cancelled}
    return view


def landmarks_view(landmarks: Landmarks | None) -> dict[str, Any] | None:
    """The map's background: each sentence's place and the words of each cluster at the cluster's middle."""
    if landmarks is None:
        return None
    words = []
    for index, word in enumerate(landmarks.cluster_words):
        inside = landmarks.clusters == index
        if inside.any():
            words.append({"words": word, "size": int(inside.sum()),
                          "xy": np.median(landmarks.xy[inside], axis=0).round(3).tolist(),
                          "xyz": np.median(landmarks.xyz[inside], axis=0).round(3).tolist()})
    return {"texts": landmarks.texts, "xy": packed(landmarks.xy), "xyz": packed(landmarks.xyz),
            "words": sorted(words, key=lambda word: -word["size"])}


def packed(values: np.ndarray) -> str:
    """Base64 of float32, rows one after another: a tenth of the time that JSON numbers take."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def file_url(path: Path | None) -> str | None:
    """Where the page finds a file that the server allows."""
    return None if path is None else f"/gradio_api/file={quote(path.as_posix())}"


def _peaks(strength: np.ndarray) -> np.ndarray:
    """At most `DRAWN` values; each bin keeps its highest, for peaks are what the curve is for."""
    if len(strength) <= DRAWN:
        return strength
    stride = -(-len(strength) // DRAWN)
    padded = np.pad(strength, (0, -len(strength) % stride))
    return padded.reshape(-1, stride).max(axis=1)
