"""The VL-JEPA arm: predicted against target embeddings, InfoNCE, the Y-Encoder at a twentieth of the rate."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vljepa.metrics import alignment, uniformity
from vljepa.model import VLJEPA
from vljepa.text import pad
from vljepa.train.batches import Batches
from vljepa.train.loop import Arm
from vljepa.train.losses import info_nce, posterior

Y_ENCODER_FACTOR = 0.05  # arXiv:2512.10942, table on the Y-Encoder's learning rate
TEXTS_AT_ONCE = 128
# predictions, targets, owners and the targets' names -> those of all processes
Gather = Callable[[Tensor, Tensor, Tensor, list[str]], tuple[Tensor, Tensor, Tensor]]


class ContrastiveArm(Arm):
    """Predictor, Y-Encoder and temperature, trained on a mixture of sources.

    With `y_encoder_factor` 0 the Y-Encoder rests, and its embeddings are computed once a text: a step on captions then
    costs a third.
    """

    def __init__(
        self, model: VLJEPA, mixture: Batches, seed: int, validation: Callable[[], dict[str, float]],
        y_encoder_factor: float = Y_ENCODER_FACTOR,
    ) -> None:
        super().__init__(validation)
        self.predictor, self.y_encoder = model.predictor.requires_grad_(True), model.y_encoder.requires_grad_(True)
        # the word embeddings stay: questions are few, and words they lack should keep their meaning
        self.predictor.embed_tokens.requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(0.05).log())
        self.log_answer_temperature = nn.Parameter(torch.tensor(0.05).log())  # few answers need other contrasts
        self._factor, self._seed, self._mixture = y_encoder_factor, seed, mixture
        self._known: dict[str, Tensor] = {}  # embeddings of texts, kept while the Y-Encoder rests
        self.gather: Gather | None = None  # set where several processes share a batch
        self._model = (model,)  # in a tuple, so that its frozen parts are not saved with the arm
        self.to(model.device)

    def groups(self) -> Iterable[tuple[list[nn.Parameter], float]]:
        """The predictor at the full rate, the Y-Encoder at a twentieth of it, or resting."""
        yield [p for p in self.predictor.parameters() if p.requires_grad], 1.0
        yield [self.log_temperature, self.log_answer_temperature], 1.0
        if self._factor:
            yield list(self.y_encoder.parameters()), self._factor

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """InfoNCE on the batch of `step`, or the posterior where the texts are all the answers there are.

        Logs its source, the temperature, alignment and uniformity.
        """
        name, make = self._mixture.at(self._seed, step)
        batch, (model,) = make(), self._model
        query_ids = query_mask = None
        if batch.queries is not None:
            query_ids, query_mask = (t.to(model.device) for t in model.query_tokenizer(batch.queries))
        predicted = self.predictor(batch.visual_tokens.to(model.device, torch.float32), query_ids, query_mask)
        predicted = F.normalize(predicted.float(), dim=-1)
        texts = self.embed_texts(batch.texts) if self._factor else self._known_embeddings(batch.texts)
        # a target is one text or the mean of two; texts that own nothing stay as negatives
        targets, owner = _targets(texts, batch.owners.to(model.device))
        if self.gather is not None:
            assert batch.soft is None, "a teacher's answers are not shared between processes"
            predicted, targets, owner = self.gather(predicted, targets, owner, _keys(batch.texts, batch.owners))
        log_temperature = self.log_answer_temperature if batch.closed else self.log_temperature
        temperature = log_temperature.clamp(np.log(0.01), np.log(0.2)).exp()
        if batch.closed:
            soft = None if batch.soft is None else batch.soft.to(model.device)
            loss = posterior(predicted, targets, owner, temperature, soft)
        else:
            loss = info_nce(predicted, targets, owner, temperature)
        with torch.no_grad():
            shown, true = (t.float().cpu().numpy() for t in (predicted, targets[owner]))
            said = {"source": name, "temperature": temperature.item(), "alignment": alignment(shown, true),
                    "uniformity": uniformity(shown[:256])}
        return loss, said

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "texts dim"]:
        """Target embeddings, unit length, with gradients; like lengths together, because padding is half the cost."""
        (model,) = self._model
        ids = model.text_tokenizer.ids(texts)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        pieces = []
        for start in range(0, len(order), TEXTS_AT_ONCE):
            tokens, mask = pad([ids[i] for i in order[start : start + TEXTS_AT_ONCE]])
            pieces.append(self.y_encoder(tokens.to(model.device), mask.to(model.device)))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return F.normalize(torch.cat(pieces).float()[back.to(model.device)], dim=-1)

    def _known_embeddings(self, texts: list[str]) -> Float[Tensor, "texts dim"]:
        with torch.no_grad():
            if new := [text for text in dict.fromkeys(texts) if text not in self._known]:
                self._known |= dict(zip(new, self.embed_texts(new), strict=True))
            return torch.stack([self._known[text] for text in texts])


def _keys(texts: list[str], owners: Tensor) -> list[str]:
    """What tells the targets of `_targets` apart."""
    return texts if owners.shape[1] == 1 else ["\n".join(texts[i] for i in row) for row in owners.tolist()]


def _targets(texts: Tensor, owners: Tensor) -> tuple[Tensor, Tensor]:
    if owners.shape[1] == 1:
        return texts, owners[:, 0]
    means = F.normalize(texts[owners].mean(1), dim=-1)
    return means, torch.arange(len(means), device=means.device)
