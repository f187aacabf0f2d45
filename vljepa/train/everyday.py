"""The recipe of the `everyday` checkpoint: two contrastive stages, the colour reader, Y-Decoder, caption bank and map.

Stage one is query-free, stage two mixes captions, labels and questions (arXiv:2512.10942, section 3.2). Run it with
`python -m vljepa train everyday --data DIR`; every part goes on from where a killed run stopped.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vljepa import checkpoint
from vljepa.colour_names import NAMES
from vljepa.config import EVERYDAY, ModelConfig
from vljepa.evaluate import ranked_first, share_right
from vljepa.metrics import cider, recall_at_k
from vljepa.model import VLJEPA
from vljepa.predictor import Predictor
from vljepa.questions import KINDS, Question, daquar_questions, evaluation_questions, training_questions
from vljepa.text import TextTokenizer
from vljepa.train import start
from vljepa.train.bank import build_bank, build_landmarks
from vljepa.train.batches import CaptionSource, LabelSource, MatchSource, Mixture, Part, Photos, QuestionSource
from vljepa.train.contrastive import ContrastiveArm
from vljepa.train.decoding import DecoderArm, train_tokenizer
from vljepa.train.loop import Schedule, timed_progress, train
from vljepa.train.photos import COPIES, PhotoSet, encode_photo_sets, encode_plain, load_photo_set, tokens_path
from vljepa.train.reading import ReaderArm
from vljepa.train.teacher import soft_answers
from vljepa.train.text_corpus import all_sentences, caption_groups
from vljepa.x_encoder import FrameXEncoder
from vljepa.y_encoder import YEncoder

SEED = 1
PRETRAIN = Schedule(steps=300, learning_rate=1e-3)
FINETUNE = Schedule(steps=360, learning_rate=4e-4, stop=250)
BLEND = 0.6  # of the second stage's weights, the rest the first's (Wortsman et al., arXiv:2109.01903)
QUERIES_BLEND = 0.75  # of the weights after the questions, the rest those before
QUERIES = Schedule(steps=850, learning_rate=6e-4, save_every=50, validate_every=300, mean=0.985)
READER = Schedule(steps=250, learning_rate=2e-3, save_every=50, validate_every=50)
DECODER = Schedule(steps=1100, learning_rate=2e-3, weight_decay=0.01, save_every=100, validate_every=550)

COLOUR_PARTS = EVERYDAY.x_encoder.colour_parts
TURNED = 0.6  # of the colour questions, asked under other names

CAPTION_QUERIES = (EVERYDAY.caption_query, EVERYDAY.caption_query, "Describe this video in detail.",
                   "What is happening?", "Describe the picture.")
LABEL_QUERIES = (EVERYDAY.caption_query, "What is the action shown?", "What is this?", "What can be seen here?")
MATCH_WORDINGS = ("Is this {}?", "Is there a {} here?", "Does this show {}?", "Is it {}?", "Do you see {}?")
PHRASINGS = {
    "sports100": ("{}", "a photo of {}", "people doing {}", "someone doing {}", "a picture of the sport {}"),
    "imagenet1000": ("{}", "a photo of a {}", "a close-up of a {}", "there is a {} here", "a picture of a {}"),
    "exercise": ("{}", "a person doing {}", "someone exercising in a gym: {}", "a man does the exercise {}"),
}


def train_everyday(data: Path, work: Path, out: Path) -> VLJEPA:
    """Train the whole checkpoint from the folder `data` into `out`; `work` keeps features, states and logs."""
    sets = {name: load_photo_set(data, name) for name in COPIES}
    flickr, cache = sets["flickr8k"], work / "features"
    model = starting_model(EVERYDAY, list(sets.values()), work)
    assert isinstance(model.x_encoder, FrameXEncoder)
    encode_photo_sets(model.x_encoder, list(sets.values()), cache, timed_progress())
    _train_predictor(model, sets, work)

    predicted, captions = _predictions(model, flickr, cache, "val")
    _set_text_shift(model, predicted, captions)
    groups = caption_groups(flickr, data)
    embeddings = _train_decoder(model, groups, work, lambda: _caption_quality(model, predicted[:300], captions[:300]))

    labels = [row["label"] for row in sets["imagenet1000"].rows]
    sports = sorted({row["label"] for row in sets["sports100"].rows})
    model.bank = build_bank(model, embeddings, all_sentences(flickr, data), labels, sports, SEED)
    model.landmarks = build_landmarks(model.bank, predicted, SEED)
    checkpoint.save(model, out)
    return model


def _train_predictor(model: VLJEPA, sets: dict[str, PhotoSet], work: Path) -> None:
    """Both stages, more of the second for questions while the Y-Encoder rests, then the colour reader alone."""
    photos = {name: _photos(s, work / "features", model) for name, s in sets.items()}
    retrieval = _retrieval_on_val(model, sets["flickr8k"], work / "features")
    answers = _answers_on_val(model, sets["flickr8k"], sets["daquar_qa"], work / "features", retrieval)
    pretrain = ContrastiveArm(model, _pretraining(sets, photos), SEED, retrieval)
    train(pretrain, PRETRAIN, work, "pretrain", model.device)
    before = copy.deepcopy(pretrain.state_dict())
    finetune = ContrastiveArm(model, _finetuning(sets, photos), SEED + 1, retrieval)
    finetune.load_state_dict(before)
    train(finetune, FINETUNE, work, "finetune", model.device)
    # between the two stages' weights lies a model better than either at what the first had learned
    after = _blend(before, finetune, BLEND)
    soft = _cached(work / "daquar_teacher.npy", lambda: _daquar_teacher(sets["daquar_qa"], photos["daquar_qa"], model))
    queries = ContrastiveArm(model, _querying(sets, photos, soft), SEED + 2, answers, 0.0)
    queries.load_state_dict(after)
    train(queries, QUERIES, work, "queries", model.device)
    queries.load_state_dict(_blend(after, queries, QUERIES_BLEND))
    colours, others = _reading(sets, photos)
    reader = ReaderArm(model, colours, others, SEED + 3, queries.log_answer_temperature.exp().item(), answers)
    train(reader, READER, work, "reader", model.device)
    model.requires_grad_(False).eval()


def _blend(before: dict[str, Tensor], arm: ContrastiveArm, share: float) -> dict[str, Tensor]:
    """Weights between those before an arm's training and those after it."""
    return {k: torch.lerp(before[k].float(), v.float(), share).to(v.dtype) for k, v in arm.state_dict().items()}


def _train_decoder(
    model: VLJEPA, groups: list[list[str]], work: Path, validation: Callable[[], dict[str, float]]
) -> np.ndarray:
    """The Y-Decoder and its vocabulary; returns the embeddings of the groups' sentences, in order."""
    sentences = [s for group in groups for s in group]
    assert model.config.y_decoder is not None
    model.decoder_tokenizer = train_tokenizer(sentences, model.config.y_decoder.vocabulary)
    with torch.autocast(model.device.type, torch.bfloat16):
        embeddings = _cached(work / "sentences.npy", lambda: model.embed_text(sentences))
    train(DecoderArm(model, groups, 256, SEED, validation, embeddings), DECODER, work, "decoder", model.device)
    model.requires_grad_(False).eval()
    return embeddings


def starting_model(config: ModelConfig, sets: Sequence[PhotoSet], work: Path) -> VLJEPA:
    """EfficientNet-Lite2 and MiniLM in place, class names embedded, tokens standardised; the rest random."""
    torch.manual_seed(SEED)
    model = VLJEPA(config, TextTokenizer(start.minilm_tokenizer(), None),
                   TextTokenizer(start.minilm_tokenizer(), config.y_encoder.max_tokens))
    x_encoder = model.x_encoder
    assert isinstance(x_encoder, FrameXEncoder) and isinstance(model.y_encoder, YEncoder)
    start.load_efficientnet_lite2(x_encoder)
    start.load_minilm(model.y_encoder)
    words: Tensor = model.y_encoder.model.embeddings.word_embeddings.weight  # type: ignore[union-attr, assignment]
    with torch.no_grad():  # words the predictor can read from the start, at the size of its other inputs
        assert isinstance(model.predictor, Predictor)
        model.predictor.embed_tokens.weight.copy_(words * (0.5 / words.std()))
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    know_colour_names(model)
    x_encoder.channels_last()
    imagenet = next(s for s in sets if s.name == "imagenet1000")
    names = [f"a photo of a {row['label']}" for row in imagenet.rows]
    x_encoder.class_embeddings.copy_(torch.from_numpy(model.embed_text(names)))
    statistics = work / "token_statistics.npy"
    mean, std = _cached(statistics, lambda: _token_statistics(x_encoder, sets))
    x_encoder.token_mean.copy_(torch.from_numpy(mean))
    x_encoder.token_std.copy_(torch.from_numpy(std))
    return model


def know_colour_names(model: VLJEPA) -> None:
    """What the colour reader says at first: each name's own embedding, about their middle."""
    assert isinstance(model.predictor, Predictor)
    if model.predictor.colours is not None:
        names = torch.from_numpy(model.embed_text(list(NAMES)))
        model.predictor.colours.names.data.copy_(F.normalize(names - names.mean(0), dim=-1))


def _token_statistics(x_encoder: FrameXEncoder, sets: Sequence[PhotoSet]) -> np.ndarray:
    rng, tokens = np.random.default_rng(SEED), []
    for photo_set in sets:
        chosen = rng.choice(photo_set.indices("train"), 300, replace=False)
        tokens.append(encode_plain(x_encoder, photo_set.folder, [photo_set.files[i] for i in chosen]))
    flat = np.concatenate(tokens).astype(np.float32).reshape(-1, x_encoder.dim)[:, : len(x_encoder.token_mean)]
    return np.stack([flat.mean(0), np.maximum(flat.std(0), 5e-3)])  # a dead channel must not be blown up


def _photos(photo_set: PhotoSet, cache: Path, model: VLJEPA) -> Photos:
    plain = _tokens(photo_set, cache)[photo_set.indices("train")]
    copies = [_tokens(photo_set, cache, copy) for copy in range(1, COPIES[photo_set.name] + 1)]
    return Photos([tokens.to(model.device) for tokens in (plain, *copies)], model.config.predictor.window_frames)


def _tokens(photo_set: PhotoSet, cache: Path, copy: int = 0) -> Tensor:
    """The visual tokens of one copy of a set, (photos, tokens, dim), as a map of their file."""
    return torch.from_numpy(np.load(tokens_path(cache, photo_set.name, copy), mmap_mode="c"))


def _pretraining(sets: dict[str, PhotoSet], photos: dict[str, Photos]) -> Mixture:
    parts: list[Part] = [("flickr8k", CaptionSource(photos["flickr8k"], _train_captions(sets["flickr8k"])), 0.66, 768)]
    parts += [(name, LabelSource(photos[name], _train_labels(sets[name]), PHRASINGS[name]), share, 512)
              for name, share in (("sports100", 0.2), ("imagenet1000", 0.09), ("exercise", 0.05))]
    return Mixture(parts)


def _finetuning(sets: dict[str, PhotoSet], photos: dict[str, Photos]) -> Mixture:
    captions = _train_captions(sets["flickr8k"])
    parts: list[Part] = [("captions", CaptionSource(photos["flickr8k"], captions, CAPTION_QUERIES), 0.46, 768)]
    parts += [(name, LabelSource(photos[name], _train_labels(sets[name]), PHRASINGS[name], LABEL_QUERIES), share, 512)
              for name, share in (("sports100", 0.12), ("imagenet1000", 0.05), ("exercise", 0.03))]
    parts += _asked(captions, photos["flickr8k"], (0.13, 0.07, 0.06, 0.02, 0.02), 512)
    return Mixture([*parts, ("daquar", _daquar(sets["daquar_qa"], photos["daquar_qa"]), 0.06, 512)])


def _querying(sets: dict[str, PhotoSet], photos: dict[str, Photos], soft: np.ndarray) -> Mixture:
    """Mostly questions, in small batches: whether a named thing is there takes many steps to learn."""
    captions = _train_captions(sets["flickr8k"])
    parts: list[Part] = [("captions", CaptionSource(photos["flickr8k"], captions, CAPTION_QUERIES), 0.16, 768)]
    for name, label_share, match_share in (("sports100", 0.08, 0.02), ("imagenet1000", 0.03, 0.02),
                                           ("exercise", 0.02, 0.01)):
        labels = _train_labels(sets[name])
        parts += [(name, LabelSource(photos[name], labels, PHRASINGS[name], LABEL_QUERIES), label_share, 512),
                  (f"is it {name}", MatchSource(photos[name], labels, MATCH_WORDINGS), match_share, 256)]
    parts += _asked(captions, photos["flickr8k"], (0.14, 0.18, 0.06, 0.02, 0.02), 256)
    return Mixture([*parts, ("daquar", _daquar(sets["daquar_qa"], photos["daquar_qa"], soft), 0.24, 384)])


def _reading(sets: dict[str, PhotoSet], photos: dict[str, Photos]) -> tuple[Mixture, Mixture]:
    """Colour questions under their own names, and everything that is asked of the same photos but colours."""
    flickr, indoor, captions = photos["flickr8k"], photos["daquar_qa"], _train_captions(sets["flickr8k"])
    rows = [(q.photo, q.text, q.answer) for q in training_questions(captions, SEED) if q.kind == "colour"]
    asked = _daquar_asked(sets["daquar_qa"])
    coloured = [(q.photo, q.text, q.answer) for q in asked if q.kind == "colour" and q.answer in NAMES]
    rest = [(q.photo, q.text, q.answer) for q in asked if q.kind != "colour"]
    queries = (*CAPTION_QUERIES, *LABEL_QUERIES)
    others: list[Part] = [("captions", CaptionSource(flickr, captions, queries), 0.3, 96)]
    others += [part for part in _asked(captions, flickr, (0.12,) * len(KINDS), 96) if part[0] != "colour"]
    others += [("daquar", QuestionSource(indoor, rest, sorted({answer for _, _, answer in rest})), 0.22, 96)]
    return (Mixture([("colour", QuestionSource(flickr, rows, NAMES), 0.85, 160),
                     ("daquar", QuestionSource(indoor, coloured, NAMES, dropped_words=0.1), 0.15, 160)]),
            Mixture(others))


def _asked(captions: list[list[str]], photos: Photos, shares: Sequence[float], size: int) -> list[Part]:
    asked, parts = training_questions(captions, SEED), list[Part]()
    for kind, share in zip(KINDS, shares, strict=True):
        rows = [(q.photo, q.text, q.answer) for q in asked if q.kind == kind]
        candidates = sorted({c for q in asked if q.kind == kind for c in q.candidates})
        source = QuestionSource(photos, rows, candidates, COLOUR_PARTS, turned=TURNED if kind == "colour" else 0.0)
        parts.append((kind, source, share, size))
    return parts


def _daquar(photo_set: PhotoSet, photos: Photos, soft: np.ndarray | None = None) -> QuestionSource:
    asked = [(q.photo, q.text, q.answer) for q in _daquar_asked(photo_set)]
    answers = sorted({answer for _, _, answer in asked})
    return QuestionSource(photos, asked, answers, dropped_words=0.1 if soft is None else 0.15, soft=soft)


def _daquar_teacher(photo_set: PhotoSet, photos: Photos, model: VLJEPA) -> np.ndarray:
    """A teacher's answers to the training questions; its glance is the whole frame, and what its cells are called."""
    x_encoder = model.x_encoder
    assert isinstance(x_encoder, FrameXEncoder)
    tokens = photos.copies[0][..., : len(x_encoder.token_mean)].float().cpu()
    glance = torch.cat([tokens[:, -1], tokens[:, :-1, -x_encoder.config.class_dim :].mean(1)], dim=1).numpy()
    asked = [(q.photo, q.text, q.answer) for q in _daquar_asked(photo_set)]
    return soft_answers(asked, sorted({answer for _, _, answer in asked}), glance, SEED)


def _daquar_asked(photo_set: PhotoSet, split: str = "train") -> list[Question]:
    return daquar_questions(photo_set.rows, [photo_set.files[i] for i in photo_set.indices(split)])


def _train_captions(flickr: PhotoSet) -> list[list[str]]:
    return [flickr.rows[i]["captions"] for i in flickr.indices("train")]


def _train_labels(photo_set: PhotoSet) -> list[str]:
    label = {row["file"]: row.get("label") or row["name"].lower() for row in photo_set.rows}
    return [label[photo_set.files[i]] for i in photo_set.indices("train")]


def _predictions(model: VLJEPA, flickr: PhotoSet, cache: Path, split: str) -> tuple[np.ndarray, list[list[str]]]:
    indices = flickr.indices(split)
    windows = _tokens(flickr, cache)[indices].to(model.device, torch.float32)[:, None]
    with torch.autocast(model.device.type, torch.bfloat16):
        predicted = model.predict_windows(windows)
    return predicted, [flickr.rows[i]["captions"] for i in indices]


def _retrieval_on_val(model: VLJEPA, flickr: PhotoSet, cache: Path) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        predicted, captions = _predictions(model, flickr, cache, "val")
        with torch.autocast(model.device.type, torch.bfloat16):
            texts = model.embed_text([c for five in captions for c in five])
        similarity, ends = predicted @ texts.T, np.cumsum([len(five) for five in captions])
        positives = [list(range(end - len(five), end)) for end, five in zip(ends, captions, strict=True)]
        owners = [[i] for i, five in enumerate(captions) for _ in five]
        return {"val_i2t_r1": 100 * recall_at_k(similarity, positives, 1),
                "val_t2i_r1": 100 * recall_at_k(similarity.T, owners, 1)}

    return measure


def _answers_on_val(
    model: VLJEPA, flickr: PhotoSet, indoor: PhotoSet, cache: Path, retrieval: Callable[[], dict[str, float]]
) -> Callable[[], dict[str, float]]:
    """Retrieval, and the share of presence, colour, count and DAQUAR questions answered right, on validation photos."""
    indices, rooms = flickr.indices("val"), indoor.indices("val")
    captions = [flickr.rows[i]["captions"] for i in indices]
    asked = {kind: evaluation_questions(captions, kind, SEED) for kind in ("presence", "colour", "count")}
    of_rooms = _daquar_asked(indoor, "val")
    answers = sorted({q.answer for q in daquar_questions(indoor.rows, indoor.files)})

    def measure() -> dict[str, float]:
        windows, rooms_seen = (_tokens(s, cache)[chosen].to(model.device, torch.float32)[:, None]
                               for s, chosen in ((flickr, indices), (indoor, rooms)))
        with torch.autocast(model.device.type, torch.bfloat16):
            right = {f"val_{kind}": 100 * share_right(model, windows[[q.photo for q in questions]], questions)
                     for kind, questions in asked.items()}
            daquar = 100 * ranked_first(model, rooms_seen[[q.photo for q in of_rooms]], of_rooms, answers)
        return {**retrieval(), **right, "val_daquar": daquar}

    return measure


def _set_text_shift(model: VLJEPA, predicted: np.ndarray, captions: list[list[str]]) -> None:
    texts = model.embed_text([c for five in captions for c in five])
    model.text_shift.copy_(torch.from_numpy(texts.mean(0) - predicted.mean(0)))


def _caption_quality(model: VLJEPA, predicted: np.ndarray, captions: list[list[str]]) -> dict[str, float]:
    with torch.autocast(model.device.type, torch.bfloat16):
        written = [c.text for c in model.decode(predicted, "decoder")]
    return {"val_cider": cider(written, captions)}


def _cached(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    if not path.exists():
        partial = path.with_suffix(".partial.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(partial, make())
        partial.rename(path)
    return np.load(path)
