"""InfoNCE against a hand-made calculation, and what must not count as a negative."""

import math

import pytest
import torch
from torch.nn import functional as F

from vljepa.train.losses import info_nce, posterior


def test_it_is_the_mean_of_two_cross_entropies_when_every_text_has_one_owner():
    torch.manual_seed(0)
    a, b = F.normalize(torch.randn(5, 7), dim=-1), F.normalize(torch.randn(5, 7), dim=-1)
    logits, diagonal = a @ b.T / 0.1, torch.arange(5)
    expected = (F.cross_entropy(logits, diagonal) + F.cross_entropy(logits.T, diagonal)) / 2
    torch.testing.assert_close(info_nce(a, b, diagonal, 0.1), expected)


def test_two_photos_with_one_label_share_it():
    """Both predictions on their text: to text costs log(1 + e^-1), the text's side log 2 for sharing."""
    predicted = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    to_text = math.log(1 + math.exp(-1))
    assert info_nce(predicted, texts, torch.tensor([0, 0]), 1.0).item() == pytest.approx((to_text + math.log(2)) / 2)


def test_a_text_nobody_owns_is_only_a_negative():
    predicted, owned = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    alone = info_nce(predicted, owned, torch.tensor([0]), 1.0)
    beside = info_nce(predicted, torch.cat([owned, torch.tensor([[0.0, 1.0]])]), torch.tensor([0]), 1.0)
    assert alone.item() == pytest.approx(0.0)
    assert beside.item() == pytest.approx(math.log(1 + math.exp(-1)) / 2)


def test_a_perfect_match_is_cheaper_than_a_shuffled_one():
    same = torch.eye(4)
    assert info_nce(same, same, torch.arange(4), 0.1) < info_nce(same, same, torch.tensor([1, 2, 3, 0]), 0.1)


def test_the_posterior_keeps_how_common_an_answer_is():
    """One sight, answered one way nine times and another once: the logits come to differ by log 9."""
    torch.manual_seed(0)
    answers, owner = torch.eye(2), torch.tensor([0] * 9 + [1])
    angle = torch.tensor(math.pi / 4, requires_grad=True)
    optimiser = torch.optim.Adam([angle], lr=0.02)
    for _ in range(400):
        predicted = torch.stack([angle.cos(), angle.sin()]).expand(10, 2)
        optimiser.zero_grad()
        posterior(predicted, answers, owner, 0.4).backward()
        optimiser.step()
    assert ((angle.cos() - angle.sin()) / 0.4).item() == pytest.approx(math.log(9), abs=0.02)
    assert posterior(answers[:1].expand(10, 2), answers, owner, 0.4) > posterior(predicted, answers, owner, 0.4)


def test_the_posterior_is_over_all_candidates():
    predicted, answers = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    assert posterior(predicted, answers, torch.tensor([0]), 1.0).item() == pytest.approx(math.log(1 + math.exp(-1)))


def test_a_teacher_has_half_of_the_say():
    predicted, answers = torch.tensor([[1.0, 0.0]]), torch.eye(2)
    right, wrong = (posterior(predicted, answers, torch.tensor([i]), 1.0).item() for i in (0, 1))
    soft = torch.tensor([[0.25, 0.75]])
    taught = posterior(predicted, answers, torch.tensor([0]), 1.0, soft).item()
    assert taught == pytest.approx(right / 2 + (0.25 * right + 0.75 * wrong) / 2)
