"""A teacher for few questions: a linear softmax over all answers, from a question's words and a glance at its photo.

It cannot see much, but what it says of questions that it was not fitted to is how far wording alone goes, and that
keeps a bigger learner from knowing the few training questions by heart.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

FOLDS = 5
RARE = 4  # words and pairs of words in fewer questions tell nothing
GLANCE = 64  # principal components of the photos' features
EPOCHS, BATCH, RATE, DECAY = 10, 1024, 0.1, 0.1


def soft_answers(
    asked: Sequence[tuple[int, str, str]], answers: Sequence[str], photos: Float[np.ndarray, "photos features"],
    seed: int,
) -> Float[np.ndarray, "asked answers"]:
    """Probabilities of all `answers` for each (photo, question, answer), by a teacher that saw none of that photo's."""
    known = {answer: i for i, answer in enumerate(answers)}
    right = torch.tensor([known[answer] for _, _, answer in asked])
    of = np.array([photo for photo, _, _ in asked])
    inputs = torch.cat([_words([question for _, question, _ in asked]), _glance(photos)[of]], dim=1)
    soft, fold = torch.empty(len(asked), len(answers)), torch.from_numpy(of % FOLDS)
    for k in range(FOLDS):
        weights, bias = _fit(inputs[fold != k], right[fold != k], len(answers), seed)
        soft[fold == k] = (inputs[fold == k] @ weights + bias).softmax(-1)
    return soft.numpy()


def _words(questions: Sequence[str]) -> Float[Tensor, "questions words"]:
    """Which words and pairs of neighbours each question has; rows of unit length."""
    found = [_grams(question) for question in questions]
    often = Counter(gram for grams in found for gram in grams)
    column = {gram: i for i, gram in enumerate(sorted(gram for gram, count in often.items() if count >= RARE))}
    inputs = torch.zeros(len(questions), len(column))
    for row, grams in zip(inputs, found, strict=True):
        row[[column[gram] for gram in grams if gram in column]] = 1.0
    return inputs / inputs.sum(1, keepdim=True).clamp_min(1.0).sqrt()


def _grams(question: str) -> set[str]:
    words = ["^", *re.findall(r"[a-z']+", question.lower()), "$"]
    return {*words, *(f"{a} {b}" for a, b in pairwise(words))}


def _glance(photos: Float[np.ndarray, "photos features"]) -> Float[Tensor, "photos glance"]:
    centred = torch.from_numpy(photos) - torch.from_numpy(photos).mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    seen = centred @ axes[:GLANCE].mT
    return 0.2 * seen / seen.std(0)


def _fit(inputs: Tensor, right: Int[Tensor, " asked"], answers: int, seed: int) -> tuple[Tensor, Tensor]:
    """Weights and bias of the softmax, which begins at the answers' frequencies."""
    random = torch.Generator().manual_seed(seed)
    weights = torch.zeros(inputs.shape[1], answers, requires_grad=True)
    bias = (torch.bincount(right, minlength=answers) + 0.3).log().requires_grad_(True)
    optimiser = torch.optim.Adam([weights, bias], lr=RATE)
    fade = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, EPOCHS * -(-len(inputs) // BATCH))
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(inputs), generator=random).split(BATCH):
            loss = F.cross_entropy(inputs[chosen] @ weights + bias, right[chosen])
            loss = loss + DECAY * weights.square().sum() / len(inputs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            fade.step()
    return weights.detach(), bias.detach()
