"""The map: a UMAP picture of landmark sentences, fitted once, on which streams are placed in milliseconds.

UMAP (McInnes et al., arXiv:1802.03426) re-fitted for every film would make the map jump, and its transform of
single points drifts. So the landmarks are fitted once, and an embedding is placed at the similarity-weighted mean
of its nearest landmarks. Predictions and sentences lie in different cones of the space, so both are centred first.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from vljepa.errors import CheckpointError

NEIGHBOURS = 12  # landmarks that place a point
TEMPERATURE = 0.06  # of the softmax over their cosines; small, so that a point stays near its best landmark
UNCLUSTERED = -1
_ROWS_AT_ONCE = 2048  # bounds the similarity matrix of a long film
_TENSORS = ("embeddings", "xy", "xyz", "clusters", "predicted_mean", "text_mean")
_COMMON_WORDS = (
    "a an the of in on at to and or with by for from as is are be being was were it its his her their this that these "
    "those there here who while into onto over under near next up down out off through some other another one two "
    "three very has have having he she they them him no not can will does do something someone somebody front behind "
    "around along across between against"
)
STOP_WORDS = frozenset(_COMMON_WORDS.split())
_IRREGULAR = {"men": "man", "women": "woman", "children": "child", "people": "people", "glasses": "glasses"}


@dataclass(frozen=True)
class Landmarks:
    """Sentences with their place in the embedding space and on the map. Map units are arbitrary: no metric.

    `clusters` indexes `cluster_words`; -1 is a sentence that belongs to none. The embeddings have unit length.
    """

    texts: list[str]
    embeddings: Float[np.ndarray, "landmarks dim"]
    xy: Float[np.ndarray, "landmarks 2"]
    xyz: Float[np.ndarray, "landmarks 3"]
    clusters: Int[np.ndarray, " landmarks"]
    cluster_words: list[str]
    predicted_mean: Float[np.ndarray, " dim"]
    text_mean: Float[np.ndarray, " dim"]

    @cached_property
    def centred(self) -> Float[np.ndarray, "landmarks dim"]:
        """Unit vectors about the middle of the sentences' cone; kept, for every placed point is compared with them."""
        return unit_rows(self.embeddings - self.text_mean)

    def save(self, path: str | Path) -> None:
        """One safetensors file; embeddings in half precision, sentences and words as JSON in its metadata."""
        from safetensors.numpy import save_file

        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in _TENSORS}
        tensors["embeddings"] = tensors["embeddings"].astype(np.float16)
        tensors["clusters"] = tensors["clusters"].astype(np.int32)
        metadata = {"texts": json.dumps(self.texts), "cluster_words": json.dumps(self.cluster_words)}
        save_file(tensors, str(path), metadata=metadata)

    @classmethod
    def load(cls, path: str | Path) -> "Landmarks":
        """Read what `save` wrote; CheckpointError if the file is damaged or its parts do not fit."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in _TENSORS}
                texts, words = (json.loads(file.metadata()[key]) for key in ("texts", "cluster_words"))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the landmark map {path} cannot be read ({error}); fetch the checkpoint again, "
                                  "or delete that file to go without a map") from None
        tensors["embeddings"] = unit_rows(tensors["embeddings"].astype(np.float32))
        tensors["clusters"] = tensors["clusters"].astype(np.int64)
        landmarks = cls(texts=texts, cluster_words=words, **tensors)
        _check_fit(landmarks, path)
        return landmarks


def fit_landmarks(
    texts: Sequence[str],
    embeddings: Float[np.ndarray, "landmarks dim"],
    predicted_mean: Float[np.ndarray, " dim"],
    text_mean: Float[np.ndarray, " dim"],
    seed: int = 0,
) -> Landmarks:
    """Fit the 2-D and the 3-D map of `texts`; the same input and seed give the same map.

    Takes seconds to a minute: numba compiles UMAP first. ValueError if there are fewer than 8 texts, or not as many
    embeddings as texts.
    """
    if len(texts) < 8 or len(texts) != len(embeddings):
        raise ValueError(f"a map needs at least 8 texts and one embedding for each, got {len(texts)} texts "
                         f"and {len(embeddings)} embeddings")
    centred = unit_rows(embeddings - text_mean)
    xy, xyz = (umap_coordinates(centred, dimensions, seed) for dimensions in (2, 3))
    clusters = _find_clusters(xy, seed)
    words = cluster_words(texts, clusters)
    return Landmarks(list(texts), embeddings.astype(np.float32), xy, xyz, clusters, words,
                     predicted_mean.astype(np.float32), text_mean.astype(np.float32))


def umap_coordinates(
    embeddings: Float[np.ndarray, "points dim"], dimensions: int, seed: int = 0,
    start: Float[np.ndarray, "points dimensions"] | None = None,
) -> Float[np.ndarray, "points dimensions"]:
    """UMAP by cosine, centred and scaled so that nearly all points lie within 1 of the origin; `start` is where the
    points begin, by default their spectral layout."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # umap and numba warn about a seed forbidding threads: that is the point
        from umap import UMAP  # 15 s to import, so only who fits a map pays

        neighbours = min(15, len(embeddings) - 1)
        init = start if start is not None else "spectral" if len(embeddings) > 32 else "random"
        rate = 1.0 if start is None else 0.3  # at 1 whole scenes may trade places in the first epochs
        umap = UMAP(n_components=dimensions, n_neighbors=neighbours, min_dist=0.15, metric="cosine",
                    random_state=seed, n_jobs=1, init=init, learning_rate=rate)
        return standardise(np.asarray(umap.fit_transform(embeddings)))


def pca_coordinates(
    embeddings: Float[np.ndarray, "points dim"], dimensions: int
) -> Float[np.ndarray, "points dimensions"]:
    """The leading principal components, padded with zeros where the stream has fewer; scaled like the map."""
    centred = embeddings - embeddings.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    axes = (left * scale)[:, :dimensions]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # an SVD's signs are arbitrary
    padded = np.pad(axes * np.where(signs == 0, 1, signs), ((0, 0), (0, dimensions - axes.shape[1])))
    return standardise(padded)


def standardise(coordinates: Float[np.ndarray, "points axes"]) -> Float[np.ndarray, "points axes"]:
    """Centred on the median; 95 % of the points lie within 1. Points that all coincide stay at the origin."""
    centred = coordinates - np.median(coordinates, axis=0)
    radius = float(np.quantile(np.linalg.norm(centred, axis=1), 0.95))
    return (centred / (radius if radius > 1e-9 else 1.0)).astype(np.float32)


def place(landmarks: Landmarks, embeddings: Float[np.ndarray, "time dim"]) -> Float[np.ndarray, "time 2"]:
    """Where predicted embeddings lie on the 2-D map. Under 8 ms for one point."""
    return _place(landmarks, embeddings, landmarks.xy)


def place_3d(landmarks: Landmarks, embeddings: Float[np.ndarray, "time dim"]) -> Float[np.ndarray, "time 3"]:
    """Where predicted embeddings lie on the 3-D map."""
    return _place(landmarks, embeddings, landmarks.xyz)


def place_both(
    landmarks: Landmarks, embeddings: Float[np.ndarray, "time dim"]
) -> tuple[Float[np.ndarray, "time 2"], Float[np.ndarray, "time 3"]]:
    """`place` and `place_3d` at the price of one."""
    both = _place(landmarks, embeddings, np.hstack([landmarks.xy, landmarks.xyz]))
    return both[:, :2], both[:, 2:]


def place_text(landmarks: Landmarks, embeddings: Float[np.ndarray, "texts dim"]) -> Float[np.ndarray, "texts 2"]:
    """Where embedded sentences lie on the 2-D map: they are centred as sentences, not as predictions."""
    return _place(landmarks, embeddings - landmarks.text_mean + landmarks.predicted_mean, landmarks.xy)


def place_text_3d(landmarks: Landmarks, embeddings: Float[np.ndarray, "texts dim"]) -> Float[np.ndarray, "texts 3"]:
    """Where embedded sentences lie on the 3-D map."""
    return _place(landmarks, embeddings - landmarks.text_mean + landmarks.predicted_mean, landmarks.xyz)


def neighbourhood_agreement(
    landmarks: Landmarks, embeddings: Float[np.ndarray, "time dim"], neighbours: int = 10
) -> float:
    """How far the 2-D map can be trusted for these predictions: 0 to 1; a shuffled map would give about 0.1.

    Each point's `neighbours` nearest landmarks on the map are looked up in the embedding space: the share of them
    that are among the nearest tenth of all landmarks there.
    """
    count = len(landmarks.texts)
    neighbours = min(neighbours, count)
    tenth = max(neighbours, count // 10)
    shares = []
    for rows in _chunks(embeddings):
        similar = np.argsort(-_similarities(landmarks, rows), axis=1)[:, :tenth]
        offsets = place(landmarks, rows)[:, None, :] - landmarks.xy[None, :, :]
        near = np.argsort((offsets**2).sum(axis=2), axis=1)[:, :neighbours]
        shares += [len(set(a.tolist()) & set(b.tolist())) / neighbours for a, b in zip(near, similar, strict=True)]
    return float(np.mean(shares))


def cluster_words(texts: Sequence[str], clusters: Int[np.ndarray, " texts"], words: int = 2) -> list[str]:
    """The `words` words that set each cluster apart, joined: class-based TF-IDF (Grootendorst, arXiv:2203.05794)."""
    counts = [Counter[str]() for _ in range(int(clusters.max(initial=-1)) + 1)]
    for text, cluster in zip(texts, clusters, strict=True):
        if cluster != UNCLUSTERED:
            counts[cluster].update(set(_content_words(text)))  # once a sentence: one rambling text must not win
    everywhere = sum(counts, Counter[str]())
    mean_size = sum(everywhere.values()) / max(len(counts), 1)
    named: list[str] = []
    for count in counts:
        score = {word: n * np.log1p(mean_size / everywhere[word]) for word, n in count.items()}
        best = sorted(score, key=lambda word: (-score[word], word))
        named.append(_first_unused(best, words, named))
    return named


def _check_fit(landmarks: Landmarks, path: str | Path) -> None:
    count, dim = landmarks.embeddings.shape
    shapes = {"xy": (count, 2), "xyz": (count, 3), "clusters": (count,), "predicted_mean": (dim,), "text_mean": (dim,)}
    wrong = [name for name, shape in shapes.items() if getattr(landmarks, name).shape != shape]
    wrong += ["texts"] if len(landmarks.texts) != count else []
    wrong += ["cluster_words"] if landmarks.clusters.max(initial=-1) >= len(landmarks.cluster_words) else []
    if wrong:
        raise CheckpointError(f"the landmark map {path} does not fit together ({', '.join(wrong)}); "
                              "fetch the checkpoint again")


def _place(
    landmarks: Landmarks, embeddings: Float[np.ndarray, "time dim"], coordinates: Float[np.ndarray, "landmarks axes"]
) -> Float[np.ndarray, "time axes"]:
    placed = [np.zeros((0, coordinates.shape[1]), dtype=np.float32)]
    k = min(NEIGHBOURS, len(coordinates))
    for rows in _chunks(embeddings):
        similarity = _similarities(landmarks, rows)
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        cosines = np.take_along_axis(similarity, nearest, axis=1)
        weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)) / TEMPERATURE)
        weights /= weights.sum(axis=1, keepdims=True)
        placed.append(np.einsum("tk,tka->ta", weights, coordinates[nearest]).astype(np.float32))
    return np.concatenate(placed)


def _similarities(
    landmarks: Landmarks, embeddings: Float[np.ndarray, "time dim"]
) -> Float[np.ndarray, "time landmarks"]:
    """Cosines of predictions and sentences, each about the middle of its own cone."""
    return unit_rows(embeddings - landmarks.predicted_mean) @ landmarks.centred.T


def unit_rows(vectors: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    """Each row at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _chunks(rows: Float[np.ndarray, "time dim"]) -> list[Float[np.ndarray, "part dim"]]:
    return [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]


def _find_clusters(xy: Float[np.ndarray, "landmarks 2"], seed: int) -> Int[np.ndarray, " landmarks"]:
    """Islands of the map; where it has none, an even division, so that the map always carries words."""
    from sklearn.cluster import HDBSCAN, KMeans

    smallest = max(5, len(xy) // 50)
    found = HDBSCAN(smallest, min_samples=4, cluster_selection_method="leaf", copy=True).fit(xy).labels_
    if found.max() + 1 >= 6:
        return found.astype(np.int64)
    count = min(max(2, len(xy) // 12), 16)
    return KMeans(count, random_state=seed, n_init=4).fit(xy).labels_.astype(np.int64)


def _content_words(text: str) -> list[str]:
    return [_singular(word) for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in STOP_WORDS]


def _singular(word: str) -> str:
    """"dogs" -> "dog", so that a cluster is not called "dog dogs"; "grass", "tennis" and "bus" stay."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and re.search(r"(sh|ch|x|ss)es$", word):
        return word[:-2]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not re.search(r"(ss|us|is)$", word) else word


def _first_unused(best: list[str], words: int, taken: list[str]) -> str:
    """The best words, or the next best when another cluster bears just that name."""
    for skip in range(max(1, len(best) - words + 1)):
        name = " ".join([*best[: words - 1], *best[words - 1 + skip : words + skip]])
        if name and name not in taken:
            return name
    return " ".join(best[:words])
