"""Contexts: selecting, extending, masking, joining."""

import torch
from factories_bagel import make_config

from unichar.model.bagel.context import Context, empty_context, join_contexts

LAYERS, KV, SIZE = 2, 1, 4


def context(length: int, value: float) -> Context:
    keys = torch.full((1, KV, length, SIZE), value)
    return Context(((keys, -keys),) * LAYERS, torch.ones(1, length, dtype=torch.bool), torch.tensor([length]))


def test_joined_conversations_are_padded_and_come_back():
    joined = join_contexts([context(2, 1.0), context(3, 2.0)])
    assert len(joined) == 2 and joined.mask.tolist() == [[True, True, False], [True, True, True]]
    short = joined.select(0)
    assert short.past[0][0].shape == (1, KV, 2, SIZE) and short.position.tolist() == [2]
    assert torch.equal(short.past[1][1], context(2, 1.0).past[1][1])


def test_new_tokens_are_appended():
    new = context(1, 5.0)
    longer = context(2, 1.0).extended(new.past, torch.tensor([3]))
    assert longer.mask.shape == (1, 3) and longer.position.tolist() == [3]
    assert longer.past[0][0][0, 0, :, 0].tolist() == [1.0, 1.0, 5.0]


def test_a_mask_is_needed_only_for_padding():
    assert context(2, 1.0).mask_for(4, 3) is None
    mask = join_contexts([context(2, 1.0), context(3, 2.0)]).mask_for(4, 1)
    assert mask.shape == (4, 1, 1, 4)
    assert mask[:, 0, 0].tolist() == [[True, True, False, True]] * 2 + [[True] * 4] * 2


def test_the_empty_context_has_no_tokens():
    config = make_config().text
    empty = empty_context(config, torch.zeros(1, dtype=torch.bfloat16))
    assert len(empty.past) == config.num_hidden_layers and empty.position.tolist() == [0]
    assert empty.past[0][0].shape == (1, config.num_key_value_heads, 0, config.head_size)
    assert empty.past[0][0].dtype == torch.bfloat16
    assert empty.mask_for(3, 2) is None
