"""Drawing and writing with nano: what doing it together, and keeping keys and values, is worth.

    python benchmarks/generation.py

- Eight pictures of one prompt, sampled and decoded together, against one after the other. The prompt is read before the clock
  starts in both cases.
- Eight pictures whose prompt is read once, against once a picture, and against once a sampling step.
- A reply of 200 tokens with keys and values kept, against reading the whole conversation again for every token.
- Sixteen replies written together, against one after the other.

Pictures must agree to one part in a thousand of their range, replies to the last word; the chances of the next word with and
without kept keys and values may differ by a tenth, as much as two orders of summation in bf16 do.
"""

import time

import torch
from report import agree, measured, say, seconds, speedup

from unichar.interactions.prompts import character_card, scene_prompt
from unichar.model.flow import integrate
from unichar.model.load import load_model
from unichar.model.nano import writing
from unichar.model.nano.expert import join_contexts
from unichar.model.nano.model import NanoModel
from unichar.model.protocol import Turn
from unichar.store.store import Store

LOOK = "Mochi is a small white cat with green eyes in a striped blue shirt who runs a tea house at the end of the pier."
PROMPT = scene_prompt(
    name="Mochi", description=LOOK, user="Fancy a swim?", reply="In this fur? Never. Have some tea."
)
CARD = Turn(role="system", text=character_card(name="Mochi", description=LOOK))
PICTURES, STEPS, GUIDANCE, SHIFT = 8, 16, 2.0, 2.0
TOKENS = 200


def main() -> None:
    """Measure all four."""
    model = load_model(Store.from_env().data / "models" / "nano" / "base.safetensors")
    assert isinstance(model, NanoModel)
    with torch.no_grad():
        pictures(model)
        prompts(model)
        kept_keys(model)
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
    """A prompt read once for eight pictures, once a picture, or once a step."""
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

    say("a prompt read once, once a picture, once a step")
    once = shared()
    for words, other, n in (("picture", each_picture, 3), ("step", each_step, 3)):
        agree("latents", float((other() - once).abs().max() / once.std()), 0.02)
        measured(f"{PICTURES} pictures: prompt read once a {words} / once", speedup(other, shared, n=n), n=n)


def kept_keys(model: NanoModel) -> None:
    """A long reply with keys and values kept, or everything read again for every token; token by token in turn, so that the
    machine is equally busy for both."""
    llama = model._llama()
    prompt = model._opened(
        [CARD, Turn(role="user", text="Tell me a long story about the sea and the tea house.")]
    )
    desk, embedded, logits = writing.Desk(llama, rows=1, places=len(prompt) + TOKENS), prompt, torch.empty(0)
    kept_seconds = anew_seconds = 0.0
    differences = []

    def kept() -> None:
        nonlocal logits
        logits = desk.read(0, prompt) if len(embedded) == len(prompt) else desk.write([token])[0]

    def anew() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = llama.model(inputs_embeds=embedded[None], use_cache=False).last_hidden_state
            return llama.lm_head(hidden[0, -1]).float()

    say(f"a reply of {TOKENS} tokens, with and without kept keys and values")
    for _ in range(TOKENS):
        kept_seconds += seconds(kept)
        began = time.perf_counter()
        again = anew()
        anew_seconds += time.perf_counter() - began
        differences.append(float((again.softmax(-1) - logits.softmax(-1)).abs().max()))
        token = int(logits.argmax())
        embedded = torch.cat([embedded, llama.get_input_embeddings()(torch.tensor([token]))])
    agree("chances of a word", max(differences), 0.1)
    ratio = anew_seconds / kept_seconds
    measured(f"a reply of {TOKENS} tokens: all read again / keys and values kept", ratio, goal=3.0, n=TOKENS)


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
