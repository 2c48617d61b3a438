"""Writing together is writing alone, only faster: words, order, ends, limits."""

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


@pytest.mark.parametrize("rows", [2, 16])
def test_a_reply_has_the_same_words_in_any_company(tuned, alone, monkeypatch, rows):
    """Two rows for five conversations of different lengths: rows are refilled and moved."""
    monkeypatch.setattr(decoding, "SLOTS", rows)
    conversations = [[Turn(role="user", text=text)] for text in TEXTS[::-1]]
    assert tuned.reply(conversations, max_tokens=6, temperature=1.0, seed=3) == alone[::-1]


def test_company_does_not_change_a_bit(model):
    """Words differ only where chances nearly tie, so the logits say it earlier."""
    prompts = prompts_of(model)[:3]

    def logits_of(chosen):
        heard = [[] for _ in chosen]

        def listen(place):
            return lambda logits: heard[place].append(logits) or greedy(logits)

        decode(
            model._llama(), chosen, [listen(place) for place in range(len(chosen))], max_tokens=12, stop=-1
        )
        return [torch.stack(rows) for rows in heard]

    together = logits_of(prompts)
    for prompt, among in zip(prompts, together, strict=True):
        assert torch.equal(logits_of([prompt])[0], among)


def test_what_is_kept_changes_nothing(tuned):
    """The chances of each word are those of reading all words anew without kept keys and values."""
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


def test_ends_differ_and_rows_go_to_those_who_wait(model, monkeypatch):
    monkeypatch.setattr(decoding, "SLOTS", 2)
    script = [[5, 6, 0], [7, 0], [0], [8, 9, 10, 11], [12, 0]]
    lines = [iter(line) for line in script]
    choices = [(lambda logits, line=line: next(line)) for line in lines]
    written = decode(model._llama(), prompts_of(model), choices, max_tokens=4, stop=0)
    assert written == [[5, 6], [7], [], [8, 9, 10, 11], [12]]


def test_nothing_to_write(model):
    assert decode(model._llama(), [], [], max_tokens=5, stop=0) == []
    assert decode(model._llama(), prompts_of(model)[:2], [greedy, greedy], max_tokens=0, stop=0) == [[], []]


def test_a_conversation_over_the_context_is_one_message(model):
    limit = model._llama().config.max_position_embeddings
    check_context(model._llama(), limit - 10, 10)
    with pytest.raises(
        ValueError, match=rf"has {limit} tokens and its reply up to 10 more, the model holds {limit}: shorten"
    ):
        check_context(model._llama(), limit, 10)
    with pytest.raises(ValueError, match="shorten the history"):
        model.reply([[Turn(role="user", text="round and " * limit)]], max_tokens=3, temperature=0.0, seed=0)


def test_nan_is_said_and_not_spoken():
    model = load_nano(BASE)
    model._llama().model.norm.weight.data[3] = torch.nan
    with pytest.raises(ValueError, match=r"text backbone answers with NaN .* \(adapters/und\)"):
        model.reply([[Turn(role="user", text="Hello!")]], max_tokens=3, temperature=0.0, seed=0)


def test_a_desk_keeps_what_the_backbone_would_keep(model):
    """Its layers are the backbone's: after a token, keys and values equal those of the backbone's own cache."""
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
