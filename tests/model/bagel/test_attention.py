"""Attention in calls without masks equals one attention under a dense mask."""

import pytest
import torch
import torch.nn.functional as F
from factories_bagel import picture, tiny_model
from torch import Tensor

from unichar.model.bagel.attention import after, attention, joined, within
from unichar.model.bagel.decoder import run_experts
from unichar.model.bagel.packing import Element, pack

TALKS = {
    "text alone": [["text", "text"]],
    "text, picture, text": [["text", "seen", "text", "text"]],
    "picture first": [["seen", "text"]],
    "two pictures in a row": [["seen", "clean", "text"]],
    "noise is hidden": [["text", "noisy", "text", "clean", "noisy", "text"]],
    "several conversations": [["text"], ["clean", "seen", "text", "noisy"], ["text", "text"], ["seen"]],
}
SIZES = {"seen": 5, "clean": 6, "noisy": 4}


@pytest.fixture(scope="module")
def bagel():
    return tiny_model()


def elements(kinds: list[str], first: int) -> list[Element]:
    made = []
    for i, kind in enumerate(kinds, first):
        ids = (1, *range(20, 22 + i % 4), 2)
        made.append(Element(kind=kind, ids=ids) if kind == "text" else Element(kind=kind, tokens=SIZES[kind]))
    return made


def dense_mask(conversations: list[list[Element]]) -> Tensor:
    """[N, N] in reading order, by the rule of the published code, token by token."""
    of = []  # (conversation, number of the element, its kind) of every token
    for c, conversation in enumerate(conversations):
        for e, element in enumerate(conversation):
            of += [(c, e, element.kind)] * element.length

    mask = torch.zeros(len(of), len(of), dtype=torch.bool)
    for q, (conversation, element, kind) in enumerate(of):
        for k, (other, earlier, hidden) in enumerate(of):
            same = (conversation, element) == (other, earlier)
            causal_or_full = k <= q or (same and kind != "text")
            mask[q, k] = conversation == other and causal_or_full and (same or hidden != "noisy")
    return mask


def masked(mask: Tensor):
    """An `Attend` with repeated key/value heads and a dense mask [N, N] in the order of the tokens."""

    def attend(layer: int, q: Tensor, k: list[Tensor], v: list[Tensor]) -> Tensor:
        keys, values = torch.cat(list(k), dim=1), torch.cat(list(v), dim=1)
        per_head = q.shape[2] // keys.shape[2]
        each = (q, keys.repeat_interleave(per_head, dim=2), values.repeat_interleave(per_head, dim=2))
        return F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in each), attn_mask=mask).transpose(
            1, 2
        )

    return attend


def close(ours: Tensor, reference: Tensor) -> bool:
    return bool((ours - reference).abs().max() <= 1e-5 * reference.abs().max())


@pytest.mark.parametrize("name", TALKS)
def test_spans_equal_a_dense_mask(bagel, name):
    """Hidden states, keys, values, and gradients of the embeddings."""
    conversations = [elements(kinds, i) for i, kinds in enumerate(TALKS[name])]
    packed = pack(conversations, bagel.tokenizer.special)
    mask = dense_mask(conversations)
    if packed.order is not None:
        mask = mask[packed.order][:, packed.order]

    counts = [len(packed.ids), len(packed.positions) - len(packed.ids)]
    experts = [bagel.und, bagel.gen][: 2 if counts[1] else 1]
    found = []
    for attend in (within(packed.spans, packed.order), masked(mask)):
        inputs = [picture(f"{name} {i}", 1, count, 64) for i, count in enumerate(counts) if count]
        inputs = [x.requires_grad_() for x in inputs]
        hidden, kept = run_experts(experts, inputs, packed.positions[None], attend, keep=True)
        sum(x.sin().sum() for x in hidden).backward()
        found.append([*hidden, *(x for layer in kept for x in layer), *(x.grad for x in inputs)])
    assert all(close(*pair) for pair in zip(*found, strict=True))


def test_queries_at_the_end_see_all_earlier_keys():
    q, k, v = picture("q", 1, 3, 4, 8), picture("k", 1, 7, 2, 8), picture("v", 1, 7, 2, 8)
    mask = torch.ones(3, 7, dtype=torch.bool).tril(4)
    assert close(attention(q, k, v, is_causal=True), masked(mask)(0, q, [k], [v]))
    assert close(attention(q, k, v), masked(mask | True)(0, q, [k], [v]))


def test_pictures_attend_to_their_own_prompt():
    pasts = [((picture(f"k{n}", 1, n, 2, 8), picture(f"v{n}", 1, n, 2, 8)),) for n in (0, 3, 5)]
    q, k, v = (picture(name, 4, 6, heads, 8) for name, heads in (("q", 4), ("k", 2), ("v", 2)))
    parts = [[x[:, :2], x[:, 2:]] for x in (k, v)]  # of two experts
    together = after([(pasts[1], 2), (pasts[0], 1), (pasts[2], 1)])(0, q, *parts)
    for row, past in enumerate([pasts[1], pasts[1], pasts[0], pasts[2]]):
        one = slice(row, row + 1)
        keys, values = (torch.cat([cached, x[one]], dim=1) for cached, x in zip(past[0], (k, v), strict=True))
        everything = torch.ones(6, keys.shape[1], dtype=torch.bool)
        assert close(together[one], masked(everything)(0, q[one], [keys], [values]))


def test_one_tensor_is_not_copied():
    x = torch.ones(2, 3)
    assert joined([x], dim=0) is x and joined([x, x], dim=1).shape == (2, 6)
