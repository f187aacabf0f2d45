"""A short run of chosen arms on the `shapes` world, to be watched: the Learn tab's "Train it yourself".

The arms that know text, alike but for what they predict: the same clips in the same order through the same frozen
encoder. Each trains in a thread of its own with one core, for networks this small are no faster on two.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from visualizations.main_axes import MainAxes
from vljepa import checkpoint
from vljepa.arms.config import FULL
from vljepa.arms.data import CHANGES, CLIPS, Pool, build_pool
from vljepa.arms.recipe import TEXT_ARMS, WATCHED, add_readouts, text_arm, watch
from vljepa.arms.scores import EmbeddingReader, HeldOut, Reader, text_prediction
from vljepa.model import VLJEPA
from vljepa.shapes import all_captions, before_after, clips
from vljepa.shapes.language import CAPTION_QUERY, claims
from vljepa.shapes.world import ACTIONS, COLOURS, TURN, Motion
from vljepa.train.reins import Reins, check_limits, lead, look_every
from vljepa.train.telling import Done, Examples, Look, Stage, Tell
from vljepa.tubelet_vit import TubeletXEncoder

HELD, POINTS, EXAMPLES = 200, 64, 8  # held-out clips and puzzles; of those clips, points on the map and pictures
PARTS = ("action", "colour", "shape", "size")  # of a caption, that may be right or wrong
WORTH_KEEPING = 10  # steps after which there is something to open
LEAST_WRITTEN = 20  # steps of the decoder
NAME = "my-shapes"
LIMITS = {"clips": (64, 8192), "steps": (4, 2400), "seed": (0, 1_000_000)}


@dataclass(frozen=True)
class ShortRun:
    """What is trained on how much. ValueError names what is out of its limits."""

    arms: tuple[str, ...] = TEXT_ARMS
    clips: int = 4096
    steps: int = 450
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.arms or len(set(self.arms)) < len(self.arms) or set(self.arms) - set(TEXT_ARMS):
            raise ValueError(f"choose one or more of the models {', '.join(TEXT_ARMS)} to train, got "
                             f"{', '.join(self.arms) or 'none'}")
        check_limits(self, LIMITS)


def train_short(run: ShortRun, encoder: TubeletXEncoder, work: Path, out: Path, reins: Reins, tell: Tell) -> bool:
    """Train the arms of a run; whether VL-JEPA was among them and has become the checkpoint `out`.

    A run that is stopped early keeps what was learned in `WORTH_KEEPING` steps or more. `work` is an empty folder.
    `Stopped` before the first step.
    """
    tell(Stage("Drawing and encoding clips"))
    pools = _pools(run, encoder, reins, tell)
    began = time.thread_time()
    held = watch(encoder, WATCHED, HELD)
    tell(_examples(held))
    tell(Done("held", 1, 1, time.thread_time() - began))
    arms = [_Pupil(name, run, pools, encoder, held, tell) for name in run.arms]  # in turn: they draw their weights
    tell(Stage("Training"))
    with ThreadPoolExecutor(len(arms), "arm") as pool:
        futures = [pool.submit(arm.learn, work, out, reins) for arm in arms]
        try:
            became = [future.result() for future in futures]
        except BaseException:
            reins.stop()  # the others too
            raise
    return any(became)


class _Pupil:
    """One arm of a run, from its first weights to its end."""

    def __init__(
        self, name: str, run: ShortRun, pools: tuple[Pool, Pool], encoder: TubeletXEncoder, held: HeldOut, tell: Tell
    ) -> None:
        self.name, self.run, self.pools, self.held, self.tell = name, run, pools, held, tell
        self.arm, self.made = text_arm(name, pools, encoder, run.seed, FULL.batch, self.look)
        self.axes, self.seen = MainAxes(), Look(name, 0, {}, [], [])

    def learn(self, work: Path, out: Path, reins: Reins) -> bool:
        """Train to the end, or until stopped; then VL-JEPA learns to write, and is saved."""
        schedule = replace(FULL.repeat, steps=self.run.steps, save_every=0,
                           validate_every=look_every(self.run.steps))
        done = lead(self.arm, schedule, work, self.name, reins, self.tell, lambda: self.seen)
        if not isinstance(self.made, VLJEPA) or self.name != "vljepa" or done < WORTH_KEEPING:
            return False
        self._become(self.made, done, work, out, reins)
        return True

    def look(self, reader: Reader) -> dict[str, float]:
        """Puzzles solved and captions right of what is held out, in percent; keeps what the page is shown of it."""
        pool, places = self.held.pool, list[list[float]]()
        if isinstance(reader, EmbeddingReader):
            reader = replace(reader, sentences=all_captions())
            places = self.axes.places(reader.predict(pool.tokens[:POINTS], CAPTION_QUERY)).round(3).tolist()
        said = reader.say(pool.tokens)
        true = [true_parts(text, *pool.scene(i)) for i, text in enumerate(said)]
        scores = {"puzzles": text_prediction(reader, self.held), "parts": share_true(true)}
        self.seen = Look(self.name, 0, scores, said[:EXAMPLES], true[:EXAMPLES], places)
        return scores

    def _become(self, model: VLJEPA, learned: int, work: Path, out: Path, reins: Reins) -> None:
        """The checkpoint `out`: who has learned little has little to say, and learns to write it sooner."""
        self.tell(Stage("VL-JEPA learns to write"))
        decoder = replace(FULL.decoder, steps=min(FULL.decoder.steps, max(learned, LEAST_WRITTEN)), save_every=0)
        began, wrote = [time.thread_time()], count(1)  # of the part that is being done

        def on_step() -> None:
            reins.go_on()  # waits while paused; what is nearly finished is not given up
            done = next(wrote)
            self.tell(Done("vljepa.write", done, decoder.steps, (time.thread_time() - began[-1]) / done))
            if done == decoder.steps:
                self.tell(Stage("Its map is drawn"))
                began.append(time.thread_time())

        model.requires_grad_(False).eval()
        add_readouts(model, self.pools[0], replace(FULL, decoder=decoder), work, on_step)
        model.config, model.name = replace(model.config, name=NAME), NAME
        checkpoint.save(model, out)
        self.tell(Done("vljepa.map", 1, 1, time.thread_time() - began[-1]))


def true_parts(text: str, motion: Motion, index: int) -> dict[str, bool]:
    """Which of `PARTS` a caption, in any words, says rightly of a clip; what it leaves out is not right."""
    found = claims(text, motion, index)
    return {part: found.get(part, False) for part in PARTS}


def share_true(rows: Sequence[dict[str, bool]]) -> float:
    """Percent of all parts that are right."""
    return 100 * float(np.mean([right for row in rows for right in row.values()]))


def _pools(run: ShortRun, encoder: TubeletXEncoder, reins: Reins, tell: Tell) -> tuple[Pool, Pool]:
    """Clips, and as many pairs of before and after: those that the shipped arms begin with."""
    began = time.thread_time()

    def drawn(before: int, _: str, these: int, total: int) -> None:
        tell(Done("clip", before + these, 2 * total, (time.thread_time() - began) / (before + these)))
        reins.require()

    told = build_pool(encoder, clips, [FULL.data_seed, CLIPS], run.clips, partial(drawn, 0))
    return told, build_pool(encoder, before_after, [FULL.data_seed, CHANGES], run.clips, partial(drawn, run.clips))


def _examples(held: HeldOut) -> Examples:
    shown = clips([WATCHED, 0], len(held.pool)).frames[:EXAMPLES]
    points = [_point(*held.pool.scene(i), held.references[i][0]) for i in range(POINTS)]
    guesses = np.random.default_rng(0).choice(all_captions(), len(held.pool))
    guessed = share_true([true_parts(str(text), *held.pool.scene(i)) for i, text in enumerate(guesses)])
    return Examples(list(shown), [references[0] for references in held.references[:EXAMPLES]], points,
                    {"puzzles": 25.0, "parts": guessed})


def _point(motion: Motion, index: int, caption: str) -> dict[str, str]:
    action = int(motion.action[index])
    return {"title": caption, "colour": tuple(COLOURS)[int(motion.start.colour[index, 0])],
            "action": "turn" if action >= TURN else ACTIONS[action]}
