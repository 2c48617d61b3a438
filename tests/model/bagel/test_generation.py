"""Latent tokens and position tables."""

import pytest
import torch

from unichar.model.bagel.generation import (
    PositionTable,
    TimestepEmbedder,
    grid_indices,
    sincos_table,
    to_latents,
    to_tokens,
)


def test_tokens_come_back_as_latents():
    latents = torch.arange(2 * 16 * 4 * 6.0).view(2, 16, 4, 6)
    tokens = to_tokens(latents)
    assert tokens.shape == (2, 6, 64)
    assert torch.equal(to_latents(tokens, (2, 3)), latents)


def test_the_channel_varies_fastest_within_a_token():
    latents = torch.arange(16.0)[None, :, None, None].expand(1, 16, 2, 2)
    assert to_tokens(latents)[0, 0].tolist() == list(range(16)) * 4


def test_a_picture_takes_the_upper_left_corner_of_the_table():
    assert grid_indices(2, 3, 10).tolist() == [0, 1, 2, 10, 11, 12]
    table = PositionTable(4, 8)
    assert torch.equal(table(2, 2), table.pos_embed[[0, 1, 4, 5]])


def test_half_of_a_table_is_the_column_and_half_the_row():
    table = sincos_table(3, 8).view(3, 3, 8)
    assert torch.equal(table[0, 1, :4], table[2, 1, :4]) and torch.equal(table[1, 0, 4:], table[1, 2, 4:])
    assert table[0, 0].tolist() == pytest.approx([0, 0, 1, 1, 0, 0, 1, 1])


def test_times_have_different_embeddings():
    torch.manual_seed(0)
    embedded = TimestepEmbedder(8)(torch.tensor([0.0, 0.5, 1.0]))
    assert embedded.shape == (3, 8)
    assert torch.cdist(embedded, embedded).fill_diagonal_(9).min() > 0
