"""The colour reader alone, fitted to what the resting predictor understood.

In the mixture it hardly learns: while the blocks answer training questions by heart, nothing is left for it to say.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vljepa.colour_names import NAMES
from vljepa.model import VLJEPA
from vljepa.predictor import ColourReader, Predictor
from vljepa.train.batches import Batch, Batches
from vljepa.train.loop import Arm


class ReaderArm(Arm):
    """Where to look for the thing that is asked for, what each name found there says, and when to say it at all.

    `colours` are questions whose candidates are the eleven `NAMES` in order, `others` anything that asks for no colour.
    `temperature` is that of the predictor's answers, so that evidence and prediction add up as they were learned.
    """

    def __init__(
        self, model: VLJEPA, colours: Batches, others: Batches, seed: int, temperature: float,
        validation: Callable[[], dict[str, float]],
    ) -> None:
        super().__init__(validation)
        assert isinstance(model.predictor, Predictor) and model.predictor.colours is not None
        model.predictor.requires_grad_(False).eval()
        self.reader: ColourReader = model.predictor.colours.requires_grad_(True)
        names = torch.from_numpy(model.embed_text(list(NAMES))).to(model.device)
        self.register_buffer("_answers", names, persistent=False)
        self._colours, self._others, self._seed = colours, others, seed
        self._temperature, self._model = temperature, (model,)  # in a tuple: the rest of the model is not saved
        batches = [colours.at(seed, step)[1]() for step in range(8)]
        words = torch.cat([self._understood(batch)[1] for batch in batches]).float()
        self.reader.word_mean.copy_(words.mean(0))
        self.reader.word_std.copy_(words.std(0).clamp_min(1e-3))

    def loss(self, step: int) -> tuple[Tensor, dict[str, Any]]:
        """Cross-entropy of the names that are read, and of whether a colour is asked for."""
        asked, other = (source.at(self._seed, step)[1]() for source in (self._colours, self._others))
        pooled, words, columns = self._understood(asked)
        (model,) = self._model
        with torch.no_grad():
            length = model.predictor.out_proj(pooled).float().norm(dim=-1, keepdim=True)  # type: ignore[operator]
        said = self.reader.said(pooled, words, columns) @ self._answers.T / (length * self._temperature)  # type: ignore[operator]
        reading = F.cross_entropy(said, asked.owners[:, 0].to(model.device))
        heed = self.reader.heed(torch.cat([pooled, self._understood(other)[0]])).float()[:, 0]
        wanted = (torch.arange(len(heed), device=heed.device) < len(pooled)).float()
        heeding = F.binary_cross_entropy_with_logits(heed, wanted)
        return reading + heeding, {"reading": reading.item(), "heeding": heeding.item()}

    @torch.no_grad()
    def _understood(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        (model,) = self._model
        assert isinstance(model.predictor, Predictor)
        query = None if batch.queries is None else model.query_tokenizer(batch.queries)
        ids, mask = (None, None) if query is None else (t.to(model.device) for t in query)
        return model.predictor.understood(batch.visual_tokens.to(model.device, torch.float32), ids, mask)
