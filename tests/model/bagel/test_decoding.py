"""Token by token from a cached context; test_parity.py compares an answer with the published code."""

import pytest
import torch
from factories_bagel import IDS, tiny_model

from unichar.errors import UserError
from unichar.model.bagel.decoding import finite, next_token_logits
from unichar.model.bagel.packing import Element


@torch.no_grad()
def test_logits_follow_the_tokens_chosen():
    bagel = tiny_model()
    context = bagel.read_context([Element(kind="text", ids=tuple(IDS[0]))])

    def logits_after(choices: list[int]) -> list[torch.Tensor]:
        generated: list[int] = []
        found = []
        for logits in next_token_logits(bagel.und, context, generated, 1, 3):
            found.append(logits)
            generated.append(choices[len(generated)])
        return found

    one, other = logits_after([20, 21, 22]), logits_after([20, 30, 22])
    assert len(one) == 3 and one[0].shape == (128,)
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert not torch.allclose(one[2], other[2], atol=1e-3)


def test_what_is_not_finite_is_refused():
    assert finite(torch.ones(2), "broken").tolist() == [1, 1]
    for value in (torch.nan, torch.inf):
        with pytest.raises(UserError, match="broken"):
            finite(torch.tensor([1.0, value]), "broken")
