"""Several replies at once from cached contexts; test_parity.py compares an answer with the published code."""

import dataclasses

import pytest
import torch
from factories_bagel import IDS, NoTokenizer, tiny_model
from torch import Tensor

from unichar.errors import UserError
from unichar.model.bagel.decoding import NAN_LOGITS, ReplyCache, choose, decode, finite
from unichar.model.bagel.packing import Element

NEVER = dataclasses.replace(NoTokenizer().special, end=-2)
"""Control tokens with an end that is never predicted."""


@pytest.fixture(scope="module")
def bagel():
    return tiny_model()


def cache_of(bagel, texts: list[list[int]], *, max_tokens: int) -> ReplyCache:
    cache = ReplyCache(bagel.und, len(texts), longest=max(map(len, texts)), max_tokens=max_tokens)
    for row, ids in enumerate(texts):
        cache.put(row, bagel.read_context([Element(kind="text", ids=tuple(ids))]))
    return cache


@torch.no_grad()
def test_logits_equal_those_of_a_conversation_read_again(bagel):
    cache = cache_of(bagel, IDS, max_tokens=3)
    said: list[list[int]] = [[] for _ in IDS]
    for step in range(3):
        for row, ids in enumerate(said):
            ids.append(1 if not step else 20 + row + step)
        logits = cache.logits(bagel.und, torch.tensor([ids[-1] for ids in said]))

        for row, ids in enumerate(IDS):
            whole = Element(kind="text", ids=tuple(ids + said[row][:-1]))
            alone = cache_of(bagel, [list(whole.ids)], max_tokens=1)
            expected = alone.logits(bagel.und, torch.tensor(said[row][-1:]))
            assert torch.allclose(logits[row : row + 1], expected, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_replies_are_those_of_one_at_a_time(bagel, temperature):
    uniform = torch.rand(len(IDS), 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    settings = {"max_tokens": 6, "temperature": temperature}
    together = decode(bagel.und, cache_of(bagel, IDS, max_tokens=6), NEVER, uniform=uniform, **settings)
    assert [len(reply) for reply in together] == [6] * len(IDS)
    for row, ids in enumerate(IDS):
        one = cache_of(bagel, [ids], max_tokens=6)
        assert decode(bagel.und, one, NEVER, uniform=uniform[row : row + 1], **settings) == [together[row]]


def test_a_reply_that_ends_leaves_the_others_going(bagel):
    settings = {"max_tokens": 6, "temperature": 0.0, "uniform": torch.zeros(len(IDS), 6)}
    whole = decode(bagel.und, cache_of(bagel, IDS, max_tokens=6), NEVER, **settings)
    end = dataclasses.replace(NEVER, end=whole[0][2])
    cut = decode(bagel.und, cache_of(bagel, IDS, max_tokens=6), end, **settings)
    for before, after in zip(whole, cut, strict=True):
        length = before.index(end.end) if end.end in before else len(before)
        assert after == before[:length]
    assert len({len(reply) for reply in cut}) > 1


def test_nothing_is_decoded_after_the_last_end(bagel):
    cache = cache_of(bagel, IDS[:1], max_tokens=50)
    settings = {"max_tokens": 50, "temperature": 0.0, "uniform": torch.zeros(1, 50)}
    first = decode(bagel.und, cache_of(bagel, IDS[:1], max_tokens=50), NEVER, **settings)[0][0]
    assert decode(bagel.und, cache, dataclasses.replace(NEVER, end=first), **settings) == [[]]
    assert cache.next_column == len(IDS[0]) + 1


def test_the_cache_is_allocated_once(bagel):
    cache = cache_of(bagel, IDS[:2], max_tokens=4)
    before = [tensor.data_ptr() for tensor in (*cache.keys, *cache.values)]
    decode(bagel.und, cache, NEVER, max_tokens=4, temperature=0.0, uniform=torch.zeros(2, 4))
    assert before == [tensor.data_ptr() for tensor in (*cache.keys, *cache.values)]


def frequencies(logits: Tensor, temperature: float, count: int = 4000) -> Tensor:
    uniform = (torch.arange(count) + 0.5) / count
    tokens = choose(logits.expand(count, -1), temperature, uniform.double())
    return tokens.bincount(minlength=logits.shape[-1]) / count


def test_tokens_are_as_frequent_as_they_are_likely():
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.0]])
    for temperature in (0.5, 1.0, 3.0):
        expected = (logits[0] / temperature).softmax(-1)
        assert torch.allclose(frequencies(logits, temperature), expected, atol=1e-3)
    assert frequencies(logits, 0.0).tolist() == [0, 0, 1, 0]


def test_an_impossible_token_is_never_chosen():
    logits = torch.tensor([[-1e9, 0.0, -1e9]])
    for uniform in (0.0, 0.5, 1 - 1e-16):
        assert choose(logits, 1.0, torch.tensor([uniform], dtype=torch.float64)).tolist() == [1]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_that_is_not_finite_has_no_token(temperature):
    logits = torch.tensor([[0.0, torch.nan], [0.0, 9.0], [torch.inf, 0.0]])
    assert choose(logits, temperature, torch.full((3,), 0.5)).tolist() == [-1, 1, -1]


def test_nan_is_refused(bagel):
    damaged = tiny_model()
    damaged.und.norm.weight.data.fill_(torch.nan)
    cache = cache_of(damaged, IDS[:2], max_tokens=2)
    with pytest.raises(UserError) as found:
        decode(damaged.und, cache, NEVER, max_tokens=2, temperature=0.0, uniform=torch.zeros(2, 2))
    assert str(found.value) == NAN_LOGITS


def test_what_is_not_finite_is_refused():
    assert finite(torch.ones(2), "broken").tolist() == [1, 1]
    for value in (torch.nan, torch.inf):
        with pytest.raises(UserError, match="broken"):
            finite(torch.tensor([1.0, value]), "broken")
