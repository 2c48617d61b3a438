"""Sampling and decoding with nano: what batches and the KV cache are worth.

    python benchmarks/generation.py

- Eight pictures of one prompt, sampled and decoded together, against one after the other. The prompt is
  encoded before the clock starts in both cases.
- Eight pictures whose prompt is encoded once, against once per picture, and against once per sampling step.
- A reply of 200 tokens with a KV cache, against running the whole conversation again for every token.
- Sixteen replies decoded together, against one after the other.

Pictures must agree to one part in a thousand of their range, replies to the last word; probabilities of the
next token with and without KV cache may differ by 0.1, as much as two orders of summation in bf16 do.
"""

import time

import torch
from report import agree, measured, say, seconds, speedup

from unichar.interactions.prompts import character_card, scene_prompt
from unichar.model.flow import integrate
from unichar.model.load import load_model
from unichar.model.nano import decoding
from unichar.model.nano.expert import join_contexts
from unichar.model.nano.model import NanoModel
from unichar.model.protocol import Turn
from unichar.store.store import Store

DESCRIPTION = (
    "Mochi is a small white cat with green eyes in a striped blue shirt "
    "who runs a tea house at the end of the pier."
)
PROMPT = scene_prompt(
    name="Mochi", description=DESCRIPTION, user="Fancy a swim?", reply="In this fur? Never. Have some tea."
)
CARD = Turn(role="system", text=character_card(name="Mochi", description=DESCRIPTION))
PICTURES, STEPS, GUIDANCE, SHIFT = 8, 16, 2.0, 2.0
TOKENS = 200


def main() -> None:
    """Measure all four."""
    model = load_model(Store.from_env().data / "models" / "nano" / "base.safetensors")
    assert isinstance(model, NanoModel)
    with torch.no_grad():
        pictures(model)
        prompts(model)
        kv_cache(model)
        replies(model)


def pictures(model: NanoModel) -> None:
    """Eight pictures together against one by one."""
    context = model.prompt_context([PROMPT])
    settings = {"steps": STEPS, "guidance": GUIDANCE, "shift": SHIFT}

    def draw(seeds: list[int]) -> torch.Tensor:
        return model.decode_latents(model.sample_latents(context, seeds, **settings))

    def one_by_one() -> torch.Tensor:
        return torch.cat([draw([seed]) for seed in range(PICTURES)])

    def together() -> torch.Tensor:
        return draw(list(range(PICTURES)))

    say(f"{PICTURES} pictures together or one by one")
    agree("pictures", float((one_by_one() - together()).abs().max()), 0.002)
    measured(
        f"{PICTURES} pictures of a prompt: one by one / together",
        speedup(one_by_one, together, n=5),
        goal=3.0,
        n=5,
    )


def prompts(model: NanoModel) -> None:
    """A prompt encoded once for eight pictures, once per picture, or once per step."""
    seeds = list(range(PICTURES))

    def read() -> object:
        model._contexts.clear()
        return model.prompt_context([PROMPT])

    def sample(context: object) -> torch.Tensor:
        return model.sample_latents(context, seeds, steps=STEPS, guidance=GUIDANCE, shift=SHIFT)

    def shared() -> torch.Tensor:
        return sample(read())

    def each_picture() -> torch.Tensor:
        return sample(join_contexts([read() for _ in seeds]))

    def each_step() -> torch.Tensor:
        def guided(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            v = model.velocity(x, t, read())
            unconditional = model.velocity(x, t, model.prompt_context([""]))
            return unconditional + GUIDANCE * (v - unconditional)

        return integrate(guided, model.start_noise(seeds), steps=STEPS, shift=SHIFT)

    say("a prompt encoded once, once per picture, once per step")
    once = shared()
    for unit, other, n in (("picture", each_picture, 3), ("step", each_step, 3)):
        agree("latents", float((other() - once).abs().max() / once.std()), 0.02)
        measured(
            f"{PICTURES} pictures: prompt encoded once per {unit} / once", speedup(other, shared, n=n), n=n
        )


def kv_cache(model: NanoModel) -> None:
    """A long reply with a KV cache, or with the whole conversation run again for every token.

    Both take turns token by token, so that the machine is equally busy for both.
    """
    llama = model._llama()
    prompt = model._embed_prompt(
        [CARD, Turn(role="user", text="Tell me a long story about the sea and the tea house.")]
    )
    cache = decoding.SlotCache(llama, slots=1, positions=len(prompt) + TOKENS)
    embedded, logits = prompt, torch.empty(0)
    cached_seconds = uncached_seconds = 0.0
    differences = []

    def cached() -> None:
        nonlocal logits
        logits = cache.prefill(0, prompt) if len(embedded) == len(prompt) else cache.step([token])[0]

    def uncached() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = llama.model(inputs_embeds=embedded[None], use_cache=False).last_hidden_state
            return llama.lm_head(hidden[0, -1]).float()

    say(f"a reply of {TOKENS} tokens, with and without KV cache")
    for _ in range(TOKENS):
        cached_seconds += seconds(cached)
        began = time.perf_counter()
        again = uncached()
        uncached_seconds += time.perf_counter() - began
        differences.append(float((again.softmax(-1) - logits.softmax(-1)).abs().max()))
        token = int(logits.argmax())
        embedded = torch.cat([embedded, llama.get_input_embeddings()(torch.tensor([token]))])
    agree("probabilities of the next token", max(differences), 0.1)
    ratio = uncached_seconds / cached_seconds
    measured(f"a reply of {TOKENS} tokens: without / with KV cache", ratio, goal=3.0, n=TOKENS)


def replies(model: NanoModel) -> None:
    """Sixteen replies together against one by one."""
    places = ("harbour", "garden", "old mill", "night market", "library", "station", "meadow", "cellar")
    asked = [
        f"What did you do {when} in the {place}?" for when in ("today", "last winter") for place in places
    ]
    conversations = [[CARD, Turn(role="user", text=text)] for text in asked]
    settings = {"max_tokens": 40, "temperature": 0.7, "seed": 0}

    def one_by_one() -> list[str]:
        return [model.reply([turns], **settings)[0] for turns in conversations]

    def together() -> list[str]:
        return model.reply(conversations, **settings)

    say(f"{len(asked)} replies together or one by one")
    agree("replies", sum(a != b for a, b in zip(one_by_one(), together(), strict=True)), 0)
    measured(f"{len(asked)} replies: one by one / together", speedup(one_by_one, together, n=2), n=2)


if __name__ == "__main__":
    main()
