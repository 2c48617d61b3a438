"""Decoding in a batch equals decoding alone: tokens, order, ends, limits."""

import pytest
import torch
from factories_model import BASE, disturb
from transformers import DynamicCache

from unichar.model.lora import LoraSettings, add_adapters
from unichar.model.nano import decoding
from unichar.model.nano.decoding import SlotCache, check_context, decode
from unichar.model.nano.loading import load_nano
from unichar.model.protocol import Turn

TEXTS = (
    "Hello!",
    "What is a lighthouse?",
    "Tell me a tale of the sea, with a storm in it. " * 2,
    "Why?",
    "Count to ten.",
)


@pytest.fixture(scope="module")
def tuned():
    """The base under text adapters that were moved at random, as if trained."""
    model = load_nano(BASE)
    add_adapters(model, und=LoraSettings(rank=4, alpha=8), gen=LoraSettings(rank=1, alpha=1), seed=0)
    disturb(model, by=0.02)
    return model


def prompts_of(model):
    return [model._embed_prompt([Turn(role="user", text=text)]) for text in TEXTS]


def greedy(logits):
    return int(logits.argmax())


@pytest.fixture(scope="module")
def alone(tuned):
    """Each text's reply when nothing else is asked."""
    return [
        tuned.reply([[Turn(role="user", text=text)]], max_tokens=6, temperature=1.0, seed=3)[0]
        for text in TEXTS
    ]


@pytest.mark.parametrize("count", [2, 16])
def test_replies_are_batch_invariant(tuned, alone, monkeypatch, count):
    """With two slots for five conversations of different lengths, slots are refilled and moved."""
    monkeypatch.setattr(decoding, "SLOTS", count)
    conversations = [[Turn(role="user", text=text)] for text in TEXTS[::-1]]
    assert tuned.reply(conversations, max_tokens=6, temperature=1.0, seed=3) == alone[::-1]


def test_logits_hardly_depend_on_the_batch(model):
    """Tokens differ only where probabilities nearly tie, so logits are the stricter test.

    To bf16 rounding: some kernels sum in another order for another number of rows.
    """
    prompts = prompts_of(model)[:3]

    def logits_of(chosen):
        seen = [[] for _ in chosen]

        def record(index):
            return lambda logits: seen[index].append(logits) or greedy(logits)

        decode(
            model._llama(), chosen, [record(index) for index in range(len(chosen))], max_tokens=12, stop=-1
        )
        return [torch.stack(logits) for logits in seen]

    together = logits_of(prompts)
    for prompt, among in zip(prompts, together, strict=True):
        alone = logits_of([prompt])[0]  # [T, V]
        assert (alone[0] - among[0]).norm() < 0.02 * alone[0].norm()


def test_the_cache_changes_nothing(tuned):
    """Probabilities are those of a full forward pass without a cache."""
    llama, prompt = tuned._llama(), prompts_of(tuned)[2]
    kept: list[torch.Tensor] = []

    def keep(logits):
        kept.append(logits)
        return greedy(logits)

    (tokens,) = decode(llama, [prompt], [keep], max_tokens=6, stop=-1)
    for count, logits in enumerate(kept):
        words = llama.get_input_embeddings()(torch.tensor(tokens[:count], dtype=torch.long))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            hidden = llama.model(
                inputs_embeds=torch.cat([prompt, words])[None], use_cache=False
            ).last_hidden_state
            anew = llama.lm_head(hidden[0, -1]).float()
        assert (anew.softmax(-1) - logits.softmax(-1)).abs().max() < 0.1  # bf16 keeps three digits


def test_free_slots_go_to_waiting_conversations(model, monkeypatch):
    monkeypatch.setattr(decoding, "SLOTS", 2)
    script = [[5, 6, 0], [7, 0], [0], [8, 9, 10, 11], [12, 0]]
    lines = [iter(line) for line in script]
    choices = [(lambda logits, line=line: next(line)) for line in lines]
    decoded = decode(model._llama(), prompts_of(model), choices, max_tokens=4, stop=0)
    assert decoded == [[5, 6], [7], [], [8, 9, 10, 11], [12]]


def test_nothing_to_decode(model):
    assert decode(model._llama(), [], [], max_tokens=5, stop=0) == []
    assert decode(model._llama(), prompts_of(model)[:2], [greedy, greedy], max_tokens=0, stop=0) == [[], []]


def test_a_conversation_beyond_the_context_is_refused(model):
    limit = model._llama().config.max_position_embeddings
    check_context(model._llama(), limit - 10, 10)
    with pytest.raises(
        ValueError, match=rf"has {limit} tokens and its reply up to 10 more, the model holds {limit}: shorten"
    ):
        check_context(model._llama(), limit, 10)
    with pytest.raises(ValueError, match="shorten the history"):
        model.reply([[Turn(role="user", text="round and " * limit)]], max_tokens=3, temperature=0.0, seed=0)


def test_nan_is_refused():
    model = load_nano(BASE)
    model._llama().model.norm.weight.data[3] = torch.nan
    with pytest.raises(ValueError, match=r"text backbone answers with NaN .* \(adapters/und\)"):
        model.reply([[Turn(role="user", text="Hello!")]], max_tokens=3, temperature=0.0, seed=0)


def test_the_slot_cache_equals_the_backbones_cache(model):
    """After a token, keys and values equal those of the backbone's own cache."""
    llama, prompt = model._llama(), prompts_of(model)[0]
    slots, cache = SlotCache(llama, slots=2, positions=len(prompt) + 1), DynamicCache()
    slots.prefill(0, prompt)
    slots.step([17])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        llama.model(inputs_embeds=prompt[None], past_key_values=cache, use_cache=True)
        llama.model(input_ids=torch.tensor([[17]]), past_key_values=cache, use_cache=True)
    for index, layer in enumerate(cache.layers):
        for ours, theirs in (
            (slots.keys[index][:3], layer.keys[0]),
            (slots.values[index][:3], layer.values[0]),
        ):
            assert (ours - theirs).abs().max() <= 0.05 * theirs.abs().max()
