"""An open film cut in other ways at the same decode budget, each measured against a reference where there is one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.film import Film
from vljepa.analysis import CutSettings, spans
from vljepa.baselines import frame_changes, strongest_changes, uniform_boundaries
from vljepa.metrics import boundary_f1
from vljepa.video import open_video

TOLERANCE_S = 1.0


@dataclass(frozen=True)
class OtherCut:
    """One way to cut: "meaning", "pixels", "clock" or "reference"; its boundaries in seconds; F1 if it was measured."""

    way: str
    boundaries_s: list[float]
    f1: float | None


def other_cuts(film: Film, settings: CutSettings, readout: str, reference_s: list[float] | None) -> list[OtherCut]:
    """The film's own cut, then as many segments by pixels and by the clock, then the reference.

    The first call for a film reads it once more, small, for its pixels: about a second for each minute of film.
    """
    segments = film.cut(settings, readout).segments
    own = [start_s for start_s, _ in spans(film.trajectory, segments)[1:]]
    rate_hz, count = film.trajectory.rate_hz, len(segments)
    cuts = {"meaning": own}
    if (media := film.media) is not None:
        changes = film.once("changes", lambda: _changes(media, rate_hz))
        cuts["pixels"] = strongest_changes(changes, rate_hz, count, settings.min_length_s)
    cuts["clock"] = uniform_boundaries(film.seconds, count)
    found = [OtherCut(way, found_s, None if reference_s is None else boundary_f1(found_s, reference_s, TOLERANCE_S))
             for way, found_s in cuts.items()]
    return found if reference_s is None else [*found, OtherCut("reference", reference_s, None)]


def _changes(media: Path, rate_hz: float) -> np.ndarray:
    with open_video(media) as video:
        return frame_changes(video, rate_hz)
