"""What a training tells those who watch it, as it goes along."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class Stage:
    """What is being done, in words."""

    text: str


@dataclass(frozen=True)
class Done:
    """`count` of `total` units of a part of the work are done; a unit took `each_s` seconds of a core."""

    part: str
    count: int
    total: int
    each_s: float


@dataclass(frozen=True)
class Loss:
    """The loss of an arm at a step, counted from one."""

    arm: str
    step: int
    loss: float


@dataclass(frozen=True)
class Examples:
    """What is held out and looked at again and again.

    `pictures` are the frames of each example and `truth` its sentence; `points` name what each point of the map stands
    for; `chance` is what guessing would score, in percent, by the name of the score.
    """

    pictures: list[UInt8[np.ndarray, "frames height width 3"]]
    truth: list[str]
    points: list[dict[str, str]]
    chance: dict[str, float]


@dataclass(frozen=True)
class Look:
    """How far an arm is after `step` steps: scores in percent, what it says of each example and what of that is true.

    `places` are the predictions on their two main axes, in units of the embedding space, and `targets` what they should
    meet; empty for an arm without embeddings.
    """

    arm: str
    step: int
    scores: dict[str, float]
    said: list[str]
    true: list[dict[str, bool]]
    places: list[list[float]] = field(default_factory=list)
    targets: list[list[float]] = field(default_factory=list)


Event = Stage | Done | Loss | Examples | Look
Tell = Callable[[Event], None]
