"""FLOPs of a report, from its settings: for `python -m unichar plan`. No torch."""

from unichar.cost.flops import Sizes, text_decoding
from unichar.cost.workload import ConversationLengths, TextLengths, conversation_forward, sampling_flops
from unichar.evaluation.config import Arms, EvaluationConfig

_NONE = ConversationLengths(tokens=0, targets=0)
"""Stands for kinds of conversations that a character does not have."""


def report_flops(
    sizes: Sizes, texts: TextLengths, config: EvaluationConfig, *, arms: Arms, text_rl: bool = False
) -> float:
    """FLOPs of a report's pictures and texts.

    Arms that share what draws or talks are measured once. Five arms have two different text components, base
    and SFT, or three where `text_rl` trained replies, too; and three different picture components, base, SFT
    and GRPO. Where pictures depend on the text component as well, as BAGEL's do, all five draw. Multimodal
    turns need both components, so each arm draws its own.
    """

    def drawn(pictures: int, prompts: int, context: int) -> float:
        return sampling_flops(
            sizes,
            pictures=pictures,
            prompts=prompts,
            context=context,
            steps=config.sample_steps,
            guidance=config.guidance,
            shift=config.shift,
        )

    # Held-out prompts, and one picture per multimodal turn, whose prompt is longer.
    pictures = drawn(config.prompts * config.pictures, config.prompts, texts.plain)
    multimodal_turns = drawn(config.role_plays, config.role_plays, texts.prompt)

    drawing, talking = set(), set()
    for checkpoint, components in arms.values():
        gen, und = (checkpoint if name in components else "" for name in ("gen", "und"))

        # GRPO passes SFT's text adapters on as they are, unless replies are reinforced.
        if und == "grpo_checkpoint" and not text_rl:
            und = "sft_checkpoint"
        talking.add(und)
        drawing.add((gen, "" if sizes.keeps_contexts else und))

    texts_of_one = _texts(sizes, texts, config)
    return len(drawing) * pictures + len(arms) * multimodal_turns + len(talking) * texts_of_one


def _texts(sizes: Sizes, texts: TextLengths, config: EvaluationConfig) -> float:
    """FLOPs of likelihoods, of held-out replies and of four options per question, and of generated texts."""
    # An answer is chosen by the likelihood of each of its four options.
    likelihoods = 0.0
    for kind, options in (("role_play", 1), ("knowledge_qa", 4), ("visual_qa", 4)):
        text, tower = conversation_forward(sizes, texts.conversations.get(kind, _NONE))
        likelihoods += options * config.text_items * (text.forward + tower.forward)

    # Chats are replies alone; multimodal turns write a reasoning text as well.
    before = round(texts.conversations.get("role_play", _NONE).tokens)
    reply = text_decoding(sizes, before, tokens=config.max_reply_tokens).forward
    reasoning = text_decoding(sizes, before, tokens=config.max_reasoning_tokens).forward

    return likelihoods + (config.chats + config.role_plays) * reply + config.role_plays * reasoning
