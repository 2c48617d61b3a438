"""Layout, positions and attention mask of packed conversations."""

import torch

from unichar.model.bagel.packing import IGNORED, PATCH, Element, SpecialTokens, pack

SPECIAL = SpecialTokens(begin=1, end=2, vision_start=3, vision_end=4)


def text(*ids: int, has_loss: bool = False) -> Element:
    return Element(kind="text", ids=(1, *ids, 2), has_loss=has_loss)


def attended_by(packed, row: int) -> list[int]:
    return packed.mask[row].nonzero().flatten().tolist()


def test_a_text_is_causal_and_all_but_its_begin_are_targets():
    packed = pack([[text(7, 8), text(9, has_loss=True)]], SPECIAL)
    assert packed.ids.tolist() == [1, 7, 8, 2, 1, 9, 2]
    assert packed.labels.tolist() == [IGNORED] * 4 + [9, 2, IGNORED]
    assert packed.positions.tolist() == list(range(7))
    assert torch.equal(packed.mask, torch.ones(7, 7, dtype=torch.bool).tril())
    assert packed.next == (7,)


def test_a_seen_picture_has_one_position_and_full_attention():
    packed = pack([[text(7), Element(kind="seen", tokens=2), text(8)]], SPECIAL)
    assert packed.ids.tolist() == [1, 7, 2, 3, PATCH, PATCH, 4, 1, 8, 2]
    assert packed.positions.tolist() == [0, 1, 2, 3, 3, 3, 3, 4, 5, 6]
    assert attended_by(packed, 3) == [0, 1, 2, 3, 4, 5, 6]
    assert attended_by(packed, 7) == list(range(8))


def test_latents_follow_the_text_and_noise_is_hidden_from_others():
    packed = pack([[Element(kind="clean", tokens=1), Element(kind="noisy", tokens=2), text(8)]], SPECIAL)
    # Text expert: start, end of the clean picture; start, end of the noisy one; begin, 8, end.
    # Generation expert: the clean latent, then two noisy ones.
    assert packed.ids.tolist() == [3, 4, 3, 4, 1, 8, 2]
    assert packed.positions.tolist() == [0, 0, 1, 1, 1, 2, 3, 0, 1, 1]
    assert packed.next == (4,)
    assert attended_by(packed, 0) == [0, 1, 7]
    assert attended_by(packed, 2) == attended_by(packed, 9) == [0, 1, 2, 3, 7, 8, 9]
    assert attended_by(packed, 5) == [0, 1, 4, 5, 7]


def test_conversations_do_not_attend_to_each_other():
    packed = pack([[text(7)], [Element(kind="seen", tokens=1)], [text(8)]], SPECIAL)
    assert packed.positions.tolist() == [0, 1, 2, 0, 0, 0, 0, 1, 2]
    assert packed.next == (3, 1, 3)
    assert attended_by(packed, 4) == [3, 4, 5]
    assert attended_by(packed, 8) == [6, 7, 8]
