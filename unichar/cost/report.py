"""What a report computes, before it runs: for `python -m unichar plan`. No torch."""

from unichar.cost.flops import Sizes, writing
from unichar.cost.workload import Talk, Texts, sampling, talking
from unichar.evaluation.config import EvaluationConfig

_NONE = Talk(tokens=0, targets=0)


def report_flops(sizes: Sizes, texts: Texts, config: EvaluationConfig, *, arms: int) -> float:
    """Operations of all arms' pictures, and of the words of the two different text sides."""

    def drawn(pictures: int, prompts: int, context: int) -> float:
        return sampling(
            sizes,
            pictures=pictures,
            prompts=prompts,
            context=context,
            steps=config.sample_steps,
            guidance=config.guidance,
            shift=config.shift,
        )

    pictures = drawn(config.prompts * config.pictures, config.prompts, texts.plain)
    multimodal_turns = drawn(config.role_plays, config.role_plays, texts.prompt)
    return arms * (pictures + multimodal_turns) + 2 * _words(sizes, texts, config)


def _words(sizes: Sizes, texts: Texts, config: EvaluationConfig) -> float:
    """Likelihoods of held-out replies and of four options a question, and the replies and plans that are written."""
    likelihoods = sum(
        options
        * config.text_items
        * sum(part.forward for part in talking(sizes, texts.talks.get(kind, _NONE)))
        for kind, options in (("role_play", 1), ("knowledge_qa", 4), ("visual_qa", 4))
    )
    before = round(texts.talks.get("role_play", _NONE).tokens)
    reply = writing(sizes, before, tokens=config.max_reply_tokens).forward
    plan = writing(sizes, before, tokens=config.max_reasoning_tokens).forward
    return likelihoods + (config.chats + config.role_plays) * reply + config.role_plays * plan
