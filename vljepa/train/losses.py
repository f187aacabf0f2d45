"""InfoNCE over predictions and the distinct texts of a batch (arXiv:2512.10942, section 3.2; van den Oord, 2018).

Its text's side compares photos with each other, so it learns how much *more* a text fits one photo than others (their
mutual information). Where all answers are known that is the wrong question: `posterior` keeps how common each one is.
"""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def info_nce(
    predicted: Float[Tensor, "batch dim"], targets: Float[Tensor, "texts dim"], owner: Int[Tensor, " batch"],
    temperature: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    """Bidirectional InfoNCE in nats; both sides unit length, `owner[i]` is the text that answers prediction i.

    A text may own several predictions (a label, a "yes"): a batch has it once, so that it is never its own negative,
    and the text's side averages over them. Texts that own none are negatives only.
    """
    logits = predicted @ targets.T / temperature  # (B, C)
    to_text = F.cross_entropy(logits, owner)
    positive = F.one_hot(owner, len(targets)).to(logits.dtype)
    counts = positive.sum(0)
    log_share = F.log_softmax(logits, dim=0)
    to_prediction = -((log_share * positive).sum(0) / counts.clamp_min(1))[counts > 0].mean()
    return (to_text + to_prediction) / 2


def posterior(
    predicted: Float[Tensor, "batch dim"], answers: Float[Tensor, "answers dim"], owner: Int[Tensor, " batch"],
    temperature: Float[Tensor, ""] | float, soft: Float[Tensor, "batch answers"] | None = None,
) -> Float[Tensor, ""]:
    """Cross-entropy, in nats, of the softmax over *all* answers that a kind of question has; both sides unit length.

    Ranking by it ranks by the probability of an answer given photo and question, rare answers below common ones. With
    `soft`, a teacher's probabilities, half of it is against those (Hinton et al., arXiv:1503.02531).
    """
    log_share = F.log_softmax(predicted @ answers.T / temperature, dim=-1)
    hard = F.nll_loss(log_share, owner)
    return hard if soft is None else (hard - (soft * log_share).sum(-1).mean()) / 2
