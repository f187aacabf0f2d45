"""Find moments: the segments of a film ranked by how near their meaning is to a text, or to another moment."""

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from vljepa.analysis import CutSettings, boundary_s, build_tree, cut, end_s, spans
from vljepa.readout import normalise
from vljepa.segmentation import Segment
from vljepa.stream import Trajectory
from vljepa.texts import one_text
from vljepa.watched import Span, steps_within

if TYPE_CHECKING:
    from vljepa.model import VLJEPA

MOST_MOMENTS = 10
ALIKE = 0.93  # cosine of two segments from which on they show the same thing: one is listed, the other named with it


@dataclass(frozen=True)
class Moment:
    """Seconds `[start_s, end_s)` of a film, the second in it nearest to what was sought, and the whole's cosine to it.

    `also` are the spans of further segments that show nearly the same and rank behind.
    """

    start_s: float
    end_s: float
    peak_s: float
    similarity: float
    also: list[Span] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """Moments from the best down, and the similarity at each of the film's `times_s`."""

    moments: list[Moment]
    times_s: Float[np.ndarray, " time"]
    similarity: Float[np.ndarray, " time"]
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; times in seconds."""
        return {"moments": [asdict(moment) for moment in self.moments],
                "times": [round(float(t), 3) for t in self.times_s], "similarity": self.similarity.round(4).tolist(),
                "notes": self.notes}


def find(
    model: "VLJEPA", trajectory: Trajectory, text: str, most: int = MOST_MOMENTS, settings: CutSettings | None = None
) -> Found:
    """The moments of a film that a text fits best. ValueError if the text is empty or too long."""
    checked = one_text(model, text, "text to find")
    return replace(nearest(trajectory, model.embed_text(checked.texts)[0], most, settings), notes=checked.notes)


def similar(
    trajectory: Trajectory, span: Span, most: int = MOST_MOMENTS, settings: CutSettings | None = None
) -> Found:
    """The moments of a film most like `span` of it, in seconds, those that overlap it left out."""
    found = nearest(trajectory, span_embedding(trajectory, span), most + 1, settings, leave_out=span)
    return replace(found, moments=found.moments[:most])


def span_embedding(trajectory: Trajectory, span: Span) -> Float[np.ndarray, " dim"]:
    """The mean embedding of a span of seconds, at unit length. ValueError if it is not inside the film."""
    start, stop = steps_within(span, end_s(trajectory), 1 / trajectory.rate_hz, len(trajectory.embeddings))
    return normalise(trajectory.embeddings[start:stop].mean(axis=0, keepdims=True))[0]


def film_segments(
    trajectory: Trajectory, settings: CutSettings | None = None
) -> tuple[list[Segment], Float[np.ndarray, "segments dim"]]:
    """A film's segments, and what each is searched by: its mean embedding at unit length."""
    settings = settings or CutSettings()
    segments = cut(trajectory, build_tree(trajectory, settings.smoothing_s), settings)
    return segments, normalise(np.stack([segment.embedding for segment in segments]))


def grouped(embeddings: Float[np.ndarray, "ranked dim"], alike: float = ALIKE) -> list[list[int]]:
    """Positions of ranked embeddings in groups of near-duplicates; the first of each group ranks highest.

    Each joins the best group whose first it resembles: with a and b alike and c apart, [a, c, b] -> [[0, 2], [1]].
    """
    groups: list[list[int]] = []
    for place, embedding in enumerate(embeddings):
        for group in groups:
            if float(embeddings[group[0]] @ embedding) >= alike:
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def nearest(
    trajectory: Trajectory, sought: Float[np.ndarray, " dim"], most: int = MOST_MOMENTS,
    settings: CutSettings | None = None, leave_out: Span | None = None,
) -> Found:
    """The moments of a film nearest to a unit embedding, but for those that overlap `leave_out`."""
    if most < 1:
        raise ValueError(f"at least 1 moment must be asked for, got {most}")
    segments, embeddings = film_segments(trajectory, settings)
    at = spans(trajectory, segments)
    kept = [i for i, span in enumerate(at) if leave_out is None or not _overlap(span, leave_out)]
    similarity, over_time = embeddings @ sought, trajectory.embeddings @ sought
    ranked = sorted(kept, key=lambda i: -similarity[i])
    groups = grouped(embeddings[ranked])[:most] if ranked else []
    moments = []
    for best, *others in ([ranked[i] for i in group] for group in groups):
        segment = segments[best]
        peak = segment.start + int(over_time[segment.start : segment.stop].argmax())
        peak_s = boundary_s(trajectory, peak)  # moved back like the segments' own bounds, so it lies between them
        moments.append(Moment(*at[best], peak_s, float(similarity[best]), [at[i] for i in others]))
    return Found(moments, trajectory.times_s, over_time)


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]
