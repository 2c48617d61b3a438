"""Lengths of a character's texts, and FLOPs of the passes that every stage is made of, at mean lengths. No
torch.

The costs of the stages are sums of these: `unichar/cost/sft.py`, `unichar/cost/grpo.py`,
`unichar/cost/report.py`; `python -m unichar plan` adds them up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from unichar.cost.flops import Cost, Sizes, image_forward, text_forward, vision_forward
from unichar.types import Interaction

TOKENS_PER_WORD = 1.45
"""Measured on the starter cast (1.5 to 1.7) and on a RoleScape-20 character (1.34 to 1.48)."""


@dataclass(frozen=True, kw_only=True)
class ConversationLengths:
    """Means over the conversations of one kind: tokens, target tokens and seen pictures."""

    tokens: float
    targets: float
    pictures: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TextLengths:
    """Mean lengths of a character's interactions, in tokens."""

    conversations: dict[str, ConversationLengths]
    """Kind -> lengths of its conversations."""
    prompt: int
    """Of the prompt of a text-to-image sample, over all forms."""
    plain: int
    """Of a plain prompt."""
    portraits: int
    """Number of different text-to-image prompts."""


ROLESCAPE = TextLengths(
    conversations={
        "role_play": ConversationLengths(tokens=169, targets=32, pictures=0.06),
        "thinking": ConversationLengths(tokens=418, targets=224),
        "visual_qa": ConversationLengths(tokens=35, targets=14, pictures=1.0),
        "knowledge_qa": ConversationLengths(tokens=23, targets=8),
    },
    prompt=121,
    plain=40,
    portraits=72,
)
"""Interactions of a RoleScape-20 character, a dog with twelve pictures."""
TOON = TextLengths(
    conversations={
        "role_play": ConversationLengths(tokens=124, targets=25, pictures=0.05),
        "thinking": ConversationLengths(tokens=218, targets=61),
        "visual_qa": ConversationLengths(tokens=12, targets=3, pictures=1.0),
        "knowledge_qa": ConversationLengths(tokens=22, targets=5),
    },
    prompt=60,
    plain=22,
    portraits=60,
)
"""Interactions of a character of the starter cast."""


def measured_texts(items: Sequence[Interaction]) -> TextLengths:
    """Mean lengths of training interactions, from their words; 0 for kinds and forms that do not occur."""
    conversations: dict[str, ConversationLengths] = {}

    # In the order of first occurrence, so that equal interactions give equal costs to the last digit.
    for kind in dict.fromkeys(item.kind for item in items if item.kind != "portrait"):
        own = [item for item in items if item.kind == kind]

        # Only pictures that are read; a target picture costs a generation instead.
        pictures = 0
        for item in own:
            pictures += sum(segment.type == "image" and not segment.loss for segment in item.segments)

        conversations[kind] = ConversationLengths(
            tokens=_mean_tokens([_words(item) for item in own]),
            targets=_mean_tokens([_words(item, targets_only=True) for item in own]),
            pictures=pictures / len(own),
        )

    # Prompts of pictures. Plain ones are what rollouts and reports ask with.
    portraits = [item for item in items if item.kind == "portrait"]
    plain = [_words(item) for item in portraits if item.form == "plain"]
    return TextLengths(
        conversations=conversations,
        prompt=round(_mean_tokens([_words(item) for item in portraits])),
        plain=round(_mean_tokens(plain)),
        portraits=len(portraits),
    )


def _words(item: Interaction, *, targets_only: bool = False) -> int:
    """Words of an interaction's texts, or of those that carry a loss."""
    # Words, not tokens: no tokenizer has to be loaded.
    count = 0
    for segment in item.segments:
        if segment.type == "text" and (segment.loss or not targets_only):
            count += len(segment.value.split())
    return count


def _mean_tokens(words: Sequence[int]) -> float:
    # At least 1, so that a kind without items has length 0.
    return TOKENS_PER_WORD * sum(words) / max(1, len(words))


def conversation_forward(
    sizes: Sizes, conversation: ConversationLengths, *, rank: int = 0
) -> tuple[Cost, Cost]:
    """(text backbone, vision tower) over one conversation of mean length."""
    # Seen pictures lengthen the conversation; fractions, since only some conversations have one.
    length = round(conversation.tokens + conversation.pictures * sizes.seen_tokens)
    text = text_forward(sizes, [length], targets=round(conversation.targets), rank=rank)

    return text, _times(vision_forward(sizes, 1), conversation.pictures)


def _times(cost: Cost, factor: float) -> Cost:
    return Cost(
        linear=factor * cost.linear, attention=factor * cost.attention, adapters=factor * cost.adapters
    )


def sampling_flops(
    sizes: Sizes, *, pictures: int, prompts: int, context: int, steps: int, guidance: float, shift: float
) -> float:
    """FLOPs of sampling pictures: encoding the prompts, the steps with guidance, and decoding the latents."""
    # The unconditional branch runs only at times where guidance applies, with an empty prompt.
    guided_steps = sum(t > sizes.guided_above for t in _sampler_times(steps, shift)) if guidance > 1 else 0
    unconditional = guided_steps * image_forward(sizes, pictures=pictures, prompts=1, context=0).forward

    conditional = steps * image_forward(sizes, pictures=pictures, prompts=prompts, context=context).forward
    encoding = text_forward(sizes, [context] * prompts).forward

    return encoding + conditional + unconditional + pictures * sizes.decode


def _sampler_times(steps: int, shift: float) -> list[float]:
    """The sampler's times without the last, as in `flow.time_grid`."""
    times = [1 - i / steps for i in range(steps)]
    return [shift * t / (1 + (shift - 1) * t) for t in times]
