"""FLOPs of a report, from its settings: for `python -m unichar plan`. No torch."""

from unichar.cost.flops import Sizes, text_decoding
from unichar.cost.workload import ConversationLengths, TextLengths, conversation_forward, sampling_flops
from unichar.evaluation.config import EvaluationConfig

_NONE = ConversationLengths(tokens=0, targets=0)
"""Stands for kinds of conversations that a character does not have."""


def report_flops(sizes: Sizes, texts: TextLengths, config: EvaluationConfig, *, arms: int) -> float:
    """FLOPs of the pictures of all arms, and of the text metrics of the two different text backbones."""

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

    # Every arm draws, but arms with the same text adapters talk alike: base and tuned are computed once.
    return arms * (pictures + multimodal_turns) + 2 * _texts(sizes, texts, config)


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
