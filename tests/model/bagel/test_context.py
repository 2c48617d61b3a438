"""Contexts: selecting, joining, rows per picture."""

import torch
from factories_bagel import make_config

from unichar.model.bagel.context import Context, empty_context, join_contexts

LAYERS, KV, SIZE = 2, 1, 4


def context(length: int, value: float) -> Context:
    keys = torch.full((1, length, KV, SIZE), value)
    return Context((((keys, -keys),) * LAYERS,), torch.tensor([length]))


def test_joined_conversations_keep_their_lengths_and_their_memory():
    first, second = context(2, 1.0), context(3, 2.0)
    joined = join_contexts([first, second])
    assert len(joined) == 2 and joined.position.tolist() == [2, 3]
    assert [past[0][0].shape[1] for past in joined.pasts] == [2, 3]
    assert joined.pasts[0] is first.pasts[0]
    short = joined.select(slice(0, 1))
    assert len(short) == 1 and short.position.tolist() == [2] and short.pasts[0] is first.pasts[0]


def test_adjacent_rows_of_a_conversation_are_one_group():
    first, second = context(2, 1.0), context(3, 2.0)
    rows = join_contexts([first, second]).per_picture(6)
    assert len(rows) == 6 and rows.position.tolist() == [2, 2, 2, 3, 3, 3]
    assert [(past[0][0].shape[1], count) for past, count in rows.groups()] == [(2, 3), (3, 3)]
    middle = rows.select(slice(2, 4))
    assert [(past[0][0].shape[1], count) for past, count in middle.groups()] == [(2, 1), (3, 1)]
    again = join_contexts([first, first, second, first])
    assert [(past[0][0].shape[1], count) for past, count in again.groups()] == [(2, 2), (3, 1), (2, 1)]


def test_the_empty_context_has_no_tokens():
    config = make_config().text
    empty = empty_context(config, torch.zeros(1, dtype=torch.bfloat16))
    ((keys, values), *others) = empty.pasts[0]
    assert len(others) == config.num_hidden_layers - 1 and empty.position.tolist() == [0]
    assert keys.shape == values.shape == (1, 0, config.num_key_value_heads, config.head_size)
    assert keys.dtype == torch.bfloat16
