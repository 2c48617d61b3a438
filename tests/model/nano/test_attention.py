"""Block attention equals masked attention, forward and backward."""

import pytest
import torch
from torch import Tensor

from unichar.model.nano.attention import _BlockAttention
from unichar.model.packing import pack
from unichar.model.tokens import TokenSequence

KV, GROUPS, SIZE = 2, 3, 8


@pytest.fixture(scope="module")
def packed():
    """Four conversations that share prefixes, in blocks of three queries."""
    texts = ([1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2, 7], [8, 9])
    sequences = [TokenSequence(ids=ids, loss=[False] * (len(ids) - 1) + [True], images=[]) for ids in texts]
    (row,) = pack(sequences, image_tokens=1, limit=10, block=3)
    return row


def visible(packed) -> Tensor:
    """bool [T, T]: True where a query attends to a key."""
    mask = torch.zeros(len(packed.ids), len(packed.ids), dtype=torch.bool)
    for block in packed.blocks:
        for query, hidden in enumerate(block.hidden, start=block.start):
            mask[query, block.keys[~hidden]] = True
    return mask


def dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """The same attention by one masked product, [T, K * G, E]."""
    k, v = k.repeat_interleave(GROUPS, dim=0), v.repeat_interleave(GROUPS, dim=0)
    scores = (q @ k.transpose(1, 2)).masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) @ v).transpose(0, 1)


def inputs(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(KV * GROUPS, count, SIZE), (KV, count, SIZE), (KV, count, SIZE)]
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


def test_results_and_gradients_are_those_of_a_mask(packed):
    ours, reference = inputs(len(packed.ids)), inputs(len(packed.ids))
    out = _BlockAttention.apply(*ours, packed.blocks)
    expected = dense(*reference, visible(packed))
    assert torch.allclose(out, expected, atol=1e-6)

    weight = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    (out * weight).sum().backward()
    (expected * weight).sum().backward()
    for one, other in zip(ours, reference, strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


def test_a_token_attends_to_its_own_conversation_only(packed):
    mask = visible(packed)
    assert mask.diagonal().all() and not mask.triu(1).any()
    assert mask.sum() < mask.tril().numel() / 2
