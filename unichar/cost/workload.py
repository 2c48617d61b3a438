"""How long a character's texts are, and what reading, sampling and looking at mean lengths costs. No torch.

The stages count their own work with this, `flops.py` and `sizes.py`: `unichar/cost/sft.py`, `unichar/cost/grpo.py`,
`unichar/cost/report.py`; `python -m unichar plan` adds it up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unichar.cost.flops import Cost, Sizes, drawing, reading, seeing
from unichar.types import Interaction

TOKENS_A_WORD = 1.45
"""Measured on the starter cast (1.5 to 1.7) and on a RoleScape-20 character (1.34 to 1.48)."""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Conversations of one kind: mean numbers of tokens, target tokens and seen pictures."""

    tokens: float
    targets: float
    pictures: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Mean lengths of a character's interactions."""

    talks: dict[str, Talk]
    """Kind -> its conversations."""
    prompt: int
    """Tokens of a training portrait's prompt, over all forms."""
    plain: int
    """Tokens of a plain prompt."""
    portraits: int
    """Different training prompts."""


ROLESCAPE = Texts(
    talks={
        "role_play": Talk(tokens=169, targets=32, pictures=0.06),
        "thinking": Talk(tokens=418, targets=224),
        "visual_qa": Talk(tokens=35, targets=14, pictures=1.0),
        "knowledge_qa": Talk(tokens=23, targets=8),
    },
    prompt=121,
    plain=40,
    portraits=72,
)
"""Interactions of a RoleScape-20 character, a dog with twelve pictures."""
TOON = Texts(
    talks={
        "role_play": Talk(tokens=124, targets=25, pictures=0.05),
        "thinking": Talk(tokens=218, targets=61),
        "visual_qa": Talk(tokens=12, targets=3, pictures=1.0),
        "knowledge_qa": Talk(tokens=22, targets=5),
    },
    prompt=60,
    plain=22,
    portraits=60,
)
"""Interactions of a character of the starter cast."""


def measured_texts(items: Sequence[Interaction]) -> Texts:
    """The lengths of real training interactions, from their words; 0 for what there is none of."""
    talks: dict[str, Talk] = {}
    for kind in dict.fromkeys(item.kind for item in items if item.kind != "portrait"):
        own = [item for item in items if item.kind == kind]
        talks[kind] = Talk(
            tokens=_mean([_words(item) for item in own]),
            targets=_mean([_words(item, learned=True) for item in own]),
            pictures=sum(s.type == "image" and not s.loss for item in own for s in item.segments) / len(own),
        )
    portraits = [item for item in items if item.kind == "portrait"]
    plain = [_words(item) for item in portraits if item.form == "plain"]
    return Texts(
        talks=talks,
        prompt=round(_mean([_words(item) for item in portraits])),
        plain=round(_mean(plain)),
        portraits=len(portraits),
    )


def _words(item: Interaction, *, learned: bool = False) -> int:
    return sum(len(s.value.split()) for s in item.segments if s.type == "text" and (s.loss or not learned))


def _mean(words: Sequence[int]) -> float:
    return TOKENS_A_WORD * sum(words) / max(1, len(words))


def talking(sizes: Sizes, talk: Talk, *, rank: int = 0) -> tuple[Cost, Cost]:
    """(text expert, tower) over one mean conversation."""
    length = round(talk.tokens + talk.pictures * sizes.seen_tokens)
    return reading(sizes, [length], targets=round(talk.targets), rank=rank), _times(
        seeing(sizes, 1), talk.pictures
    )


def _times(cost: Cost, factor: float) -> Cost:
    return Cost(
        linear=factor * cost.linear, attention=factor * cost.attention, adapters=factor * cost.adapters
    )


def sampling(
    sizes: Sizes, *, pictures: int, prompts: int, context: int, steps: int, guidance: float, shift: float
) -> float:
    """Operations of drawing from noise: prompts read, steps with what guidance adds, decoding."""
    guided = sum(t > sizes.guided_above for t in _times_of(steps, shift)) if guidance > 1 else 0
    without = guided * drawing(sizes, pictures=pictures, prompts=1, context=0).forward
    asked = steps * drawing(sizes, pictures=pictures, prompts=prompts, context=context).forward
    return reading(sizes, [context] * prompts).forward + asked + without + pictures * sizes.decode


def _times_of(steps: int, shift: float) -> list[float]:
    """The sampler's times, as `flow.time_grid` has them, without the last."""
    return [shift * t / (1 + (shift - 1) * t) for t in (1 - i / steps for i in range(steps))]
