"""Packed conversations through the decoder; test_parity.py compares hidden states with other code."""

import pytest
import torch
from factories_bagel import IDS, picture, tiny_model

from unichar.errors import UserError
from unichar.model.bagel.packing import Element, pack
from unichar.model.bagel.reading import read_packed


@pytest.fixture(scope="module")
def bagel():
    return tiny_model()


TEXT, OTHER = (Element(kind="text", ids=tuple(ids)) for ids in IDS[:2])
SEEN, CLEAN = Element(kind="seen", tokens=12), Element(kind="clean", tokens=6)
PIXELS, LATENTS = picture("seen pixels", 3, 56, 42), picture("clean", 16, 4, 6)


@torch.no_grad()
def read(bagel, conversations, seen=(), latents=(), *, keep=False):
    packed = pack(conversations, bagel.tokenizer.special)
    return read_packed((bagel.und, bagel.gen), bagel.vision, packed, seen, latents, keep=keep)


def test_conversations_read_together_are_those_read_alone(bagel):
    both, kept = read(bagel, [[TEXT, SEEN], [SEEN, OTHER]], [PIXELS, PIXELS.flip(1)], keep=True)
    first, first_kept = read(bagel, [[TEXT, SEEN]], [PIXELS], keep=True)
    second, second_kept = read(bagel, [[SEEN, OTHER]], [PIXELS.flip(1)], keep=True)
    assert torch.allclose(both[0], torch.cat([first[0], second[0]], dim=1), atol=1e-5)
    for together, one, other in zip(kept, first_kept, second_kept, strict=True):
        for whole, *parts in zip(together, one, other, strict=True):
            assert torch.allclose(whole, torch.cat(parts, dim=1), atol=1e-5)


def test_each_expert_gets_its_own_tokens(bagel):
    hidden, kept = read(bagel, [[TEXT, CLEAN, SEEN]], [PIXELS], [LATENTS], keep=True)
    assert [x.shape[1] for x in hidden] == [TEXT.length + 2 + SEEN.length, CLEAN.tokens]
    assert len(kept) == 3 and kept[0][0].shape[1] == sum(x.shape[1] for x in hidden)
    assert read(bagel, [[TEXT]])[1] == []


def test_a_picture_is_where_its_place_is(bagel):
    (one,), _ = read(bagel, [[TEXT, SEEN]], [PIXELS])
    (other,), _ = read(bagel, [[TEXT, SEEN]], [PIXELS.flip(2)])
    before = slice(0, TEXT.length)
    assert torch.equal(one[:, before], other[:, before])
    assert not torch.allclose(one[:, TEXT.length :], other[:, TEXT.length :], atol=1e-2)


def test_a_tower_that_makes_nan_is_named(bagel):
    with pytest.raises(UserError, match="vision tower"):
        read(bagel, [[SEEN]], [PIXELS * torch.nan])
