"""Teach a checkpoint one's own words: photos and clips of one's own, with captions, for the predictor to learn.

X-Encoder and Y-Encoder rest, and what the predictor knew is where it begins, so a minute is enough for names that it
never heard. What it forgets meanwhile is in docs/log.md.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from visualizations.main_axes import MainAxes
from vljepa import checkpoint
from vljepa.metrics import recall_at_k
from vljepa.model import VLJEPA
from vljepa.photo import read_photo
from vljepa.predictor import Predictor
from vljepa.provenance import cores
from vljepa.readout import CaptionBank
from vljepa.stream import pool_of_cores
from vljepa.train.batches import Batch, Mixture
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.loop import Schedule
from vljepa.train.own_data import FEWEST, Captioned, Listed, read_captioned, split
from vljepa.train.photos import virtual_camera
from vljepa.train.reins import Reins, check_limits, lead, look_every
from vljepa.train.telling import Done, Examples, Look, Stage, Tell
from vljepa.video import open_video
from vljepa.x_encoder import FrameXEncoder

NAME, ARM = "my-photos", "own"
FRAMES, VIEWS = 8, 4  # frames of a clip; views of a photo: as it is, and as a moving camera might see it
PHOTO_SIDE = 640  # pixels of a photo that are looked at
BATCH, LEARNING_RATE = 64, 2e-4  # see docs/log.md
ALONE = 0.5  # share of batches that show one picture; the others show as many as a window holds, as a film does
WORTH_KEEPING = 5  # steps after which there is something to open
EXAMPLES, POINTS, SENTENCES = 8, 24, 2000  # that are shown, and drawn; own captions that can be said
LIMITS = {"files": (FEWEST, 2000), "steps": (4, 600), "seed": (0, 1_000_000)}


@dataclass(frozen=True)
class OwnRun:
    """What is learned: at most `files` captioned files of a folder. ValueError names what is out of its limits."""

    folder: str
    files: int = 400
    steps: int = 100
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.folder.strip():
            raise ValueError("no folder was given: write the path of the one that holds your photos and captions")
        check_limits(self, LIMITS)

    def listed(self) -> Listed:
        """What the folder lists; ValueError says what it lacks."""
        return read_captioned(Path(self.folder.strip()).expanduser())

    def read(self) -> tuple[list[Captioned], list[Captioned]]:
        """What is trained on and what is held out; ValueError says what the folder lacks."""
        return split(self.listed().captioned, self.files)


def can_learn(model: VLJEPA) -> bool:
    """Whether a checkpoint can be taught: its X-Encoder sees picture by picture, and its predictor has weights."""
    return isinstance(model.x_encoder, FrameXEncoder) and isinstance(model.predictor, Predictor)


def teach(run: OwnRun, model: VLJEPA, work: Path, out: Path, reins: Reins, tell: Tell) -> bool:
    """Teach `model`, which is in float32, what a folder holds, and save it as the checkpoint `out`; whether it was.

    A run that is stopped early keeps what was learned in `WORTH_KEEPING` steps or more. `work` is an empty folder.
    `Stopped` before the first step. ValueError says what the folder lacks, VideoError which clip cannot be read.
    """
    train, held = run.read()
    tell(Stage("Looking at your photos and clips"))
    shown = _encoded(model, [*held, *train], reins, tell)
    pupil = _Pupil(model, held, shown[: len(held)])
    source = OwnSource(shown[len(held) :], [one.captions for one in train], model.config.caption_query,
                       model.config.predictor.window_frames)
    arm = ContrastiveArm(model, Mixture([(ARM, source, 1.0, BATCH)]), run.seed, pupil.look, 0.0)
    if isinstance(model.predictor, Predictor) and model.predictor.colours is not None:
        model.predictor.colours.requires_grad_(False)  # your captions ask for no colour
    tell(pupil.examples([one.path for one in held]))
    tell(Stage("Training"))
    schedule = Schedule(run.steps, LEARNING_RATE, save_every=0, validate_every=look_every(run.steps))
    learned = lead(arm, schedule, work, ARM, reins, tell, lambda: pupil.seen)
    if learned < WORTH_KEEPING:
        return False
    _save(model, [*train, *held], out)
    return True


@dataclass(frozen=True)
class OwnSource:
    """Encoded pictures of each file, and its captions; a text that several files share stands in a batch once."""

    shown: Sequence[Float[Tensor, "_pictures tokens dim"]]
    captions: Sequence[Sequence[str]]
    query: str
    window: int

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Windows of one picture, or of several in their order."""
        chosen = rng.permutation(len(self.shown))[:size]
        frames = 1 if self.window == 1 or rng.random() < ALONE else self.window
        windows = [self.shown[i][np.sort(rng.integers(len(self.shown[i]), size=frames))].numpy() for i in chosen]
        said = [str(rng.choice(np.array(self.captions[i]))) for i in chosen]
        texts, owners = np.unique(said, return_inverse=True)
        return Batch(torch.from_numpy(np.stack(windows)), [self.query] * len(chosen), texts.tolist(),
                     torch.from_numpy(owners.astype(np.int64))[:, None])


class _Pupil:
    """What is held out, and how well it is told apart."""

    def __init__(self, model: VLJEPA, held: Sequence[Captioned], shown: Sequence[Tensor]) -> None:
        self.model, self.held = model, held
        self.windows = [_as_seen(pictures, one.is_clip, model.config.predictor.window_frames)
                        for pictures, one in zip(shown, held, strict=True)]
        self.texts = list(dict.fromkeys(caption for one in held for caption in one.captions))
        self.embedded = model.embed_text(self.texts)  # the Y-Encoder rests
        self.own = [[self.texts.index(caption) for caption in one.captions] for one in held]
        self.axes, self.seen = MainAxes(), Look(ARM, 0, {}, [], [])

    def look(self) -> dict[str, float]:
        """Of how many held-out files the nearest caption is one of their own (R@1), in percent."""
        predicted = np.concatenate([self.model.predict(window[None].float()) for window in self.windows])
        similarity = predicted @ self.embedded.T
        nearest = similarity.argmax(1)
        scores = {"found": 100 * recall_at_k(similarity, self.own, 1)}
        places = self.axes.places(np.concatenate([predicted[:POINTS], self.embedded[[own[0] for own in
                                                                                     self.own[:POINTS]]]]))
        half = len(places) // 2
        self.seen = Look(ARM, 0, scores, [self.texts[i] for i in nearest[:EXAMPLES]],
                         [{"sentence": bool(i in own)} for i, own in zip(nearest[:EXAMPLES], self.own, strict=False)],
                         places[:half].round(3).tolist(), places[half:].round(3).tolist())
        return scores

    def examples(self, paths: Sequence[Path]) -> Examples:
        """What is held out, as the page shows it."""
        frames = [np.stack([_small(image) for image in pictures_of(one)]) for one in self.held[:EXAMPLES]]
        points = [{"title": f"{path.name}: {one.captions[0]}"} for path, one in zip(paths, self.held, strict=True)]
        chance = 100 * float(np.mean([len(own) / len(self.texts) for own in self.own]))
        return Examples(frames, [" / ".join(one.captions[:2]) for one in self.held[:EXAMPLES]], points[:POINTS],
                        {"found": chance})


def pictures_of(one: Captioned) -> list[UInt8[np.ndarray, "height width 3"]]:
    """A photo as it is, or `FRAMES` of a clip, evenly spread. VideoError or ValueError if it cannot be read."""
    if not one.is_clip:
        image = read_photo(one.path)
        shrink = PHOTO_SIDE / max(image.shape[:2])
        return [np.asarray(cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))
                if shrink < 1 else image]
    with open_video(one.path) as video:
        found = [frame.image for frame in video.frames(FRAMES / max(video.info.seconds, 0.1))]
    return [found[i] for i in np.linspace(0, len(found) - 1, FRAMES).round().astype(int)]


def _encoded(model: VLJEPA, files: Sequence[Captioned], reins: Reins, tell: Tell) -> list[Tensor]:
    """Visual tokens, float16, of every picture of each file; a core takes a file for itself."""
    spent_s: list[float] = []

    def encode(one: Captioned) -> Tensor:
        began = time.thread_time()
        tokens = model.encode_frames(np.stack([model.fit(view) for view in _views(one)])).to(torch.float16)
        spent_s.append(time.thread_time() - began)
        return tokens

    found = []
    with pool_of_cores(cores()) as pool:
        for tokens in pool.map(encode, files):
            found.append(tokens)
            tell(Done("file", len(found), len(files), float(np.mean(spent_s))))
            reins.require()
    return found


def _views(one: Captioned) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    pictures = pictures_of(one)
    yield from pictures
    if not one.is_clip:
        for view in range(1, VIEWS):
            yield virtual_camera(pictures[0], np.random.default_rng([len(one.path.name), view]))


def _as_seen(pictures: Tensor, is_clip: bool, window: int) -> Tensor:
    """The window that is predicted from: a photo as it is, a clip's pictures evenly spread."""
    return pictures[np.linspace(0, len(pictures) - 1, window).round().astype(int)] if is_clip else pictures[:1]


def _small(image: UInt8[np.ndarray, "height width 3"], side: int = 160) -> UInt8[np.ndarray, "side side 3"]:
    """The middle of a picture, square."""
    short = min(image.shape[:2])
    top, left = ((length - short) // 2 for length in image.shape[:2])
    return np.asarray(cv2.resize(image[top : top + short, left : left + short], (side, side),
                                 interpolation=cv2.INTER_AREA))


def _save(model: VLJEPA, files: Sequence[Captioned], out: Path) -> None:
    """The checkpoint: its captions are picked from yours and from those it had, for the decoder lacks your words."""
    model.requires_grad_(False).eval()
    own = list(dict.fromkeys(caption for one in files for caption in one.captions))[:SENTENCES]
    known = model.bank or CaptionBank([], np.zeros((0, model.config.embed_dim), dtype=np.float32))
    rest = [i for i, text in enumerate(known.texts) if text not in set(own)]
    model.bank = CaptionBank([*own, *(known.texts[i] for i in rest)],
                             np.concatenate([model.embed_text(own), known.embeddings[rest]]))
    model.y_decoder = model.decoder_tokenizer = None
    model.config, model.name = replace(model.config, name=NAME, y_decoder=None), NAME
    checkpoint.save(model, out)
