"""Layout, positions and spans of packed conversations; test_attention.py compares spans with a dense mask."""

import torch

from unichar.model.bagel.packing import IGNORED, PATCH, Element, SpecialTokens, pack

SPECIAL = SpecialTokens(begin=1, end=2, vision_start=3, vision_end=4)


def text(*ids: int, has_loss: bool = False) -> Element:
    return Element(kind="text", ids=(1, *ids, 2), has_loss=has_loss)


def spans(packed) -> list[tuple[tuple[int, int], list[tuple[int, int]], bool]]:
    return [
        (
            (span.queries.start, span.queries.stop),
            [(keys.start, keys.stop) for keys in span.keys],
            span.is_causal,
        )
        for span in packed.spans
    ]


def test_a_text_is_causal_and_all_but_its_begin_are_targets():
    packed = pack([[text(7, 8), text(9, has_loss=True)]], SPECIAL)
    assert packed.ids.tolist() == [1, 7, 8, 2, 1, 9, 2]
    assert packed.labels.tolist() == [IGNORED] * 4 + [9, 2, IGNORED]
    assert packed.positions.tolist() == list(range(7))
    assert packed.order is None and packed.next == (7,)


def test_texts_alone_are_one_call():
    packed = pack([[text(7, 8), text(9), text()]], SPECIAL)
    assert spans(packed) == [((0, 9), [(0, 9)], True)]


def test_a_seen_picture_has_one_position_and_full_attention():
    packed = pack([[text(7), Element(kind="seen", tokens=2), text(8), text(9)]], SPECIAL)
    assert packed.ids.tolist() == [1, 7, 2, 3, PATCH, PATCH, 4, 1, 8, 2, 1, 9, 2]
    assert packed.positions.tolist() == [0, 1, 2, 3, 3, 3, 3, 4, 5, 6, 7, 8, 9]
    assert spans(packed) == [
        ((0, 3), [(0, 3)], True),
        ((3, 7), [(0, 7)], False),
        ((7, 13), [(0, 13)], True),
    ]


def test_latents_follow_the_text_and_noise_is_hidden_from_others():
    packed = pack([[Element(kind="clean", tokens=1), Element(kind="noisy", tokens=2), text(8)]], SPECIAL)
    # Text expert: start, end of the clean picture; start, end of the noisy one; begin, 8, end.
    # Generation expert: the clean latent, then two noisy ones.
    assert packed.ids.tolist() == [3, 4, 3, 4, 1, 8, 2]
    assert packed.positions.tolist() == [0, 0, 1, 1, 1, 2, 3, 0, 1, 1]
    assert packed.order.tolist() == [0, 2, 3, 6, 7, 8, 9, 1, 4, 5]
    assert packed.next == (4,)
    assert spans(packed) == [
        ((0, 3), [(0, 3)], False),
        ((3, 7), [(0, 7)], False),
        ((7, 10), [(0, 3), (7, 10)], True),
    ]


def test_conversations_do_not_attend_to_each_other():
    packed = pack([[text(7)], [Element(kind="seen", tokens=1)], [text(8)]], SPECIAL)
    assert packed.positions.tolist() == [0, 1, 2, 0, 0, 0, 0, 1, 2]
    assert packed.next == (3, 1, 3)
    assert spans(packed) == [
        ((0, 3), [(0, 3)], True),
        ((3, 6), [(3, 6)], False),
        ((6, 9), [(6, 9)], True),
    ]


def test_lengths_count_the_markers_of_pictures():
    assert text(7, 8).length == 4 and Element(kind="seen", tokens=5).length == 7
    elements = [text(7), Element(kind="clean", tokens=3), Element(kind="noisy", tokens=2)]
    packed = pack([elements], SPECIAL)
    assert sum(element.length for element in elements) == len(packed.positions)
    assert torch.equal(packed.order.sort().values, torch.arange(len(packed.positions)))
