"""FLOPs of the paper's own settings, counted in the same way: a check of the counts, and a baseline."""

from unichar.cost.flops import Sizes, image_forward, text_forward
from unichar.cost.workload import TextLengths


def paper_flops(sizes: Sizes, texts: TextLengths) -> tuple[float, float]:
    """(SFT, GRPO) FLOPs of the published settings, full tuning at 1024 pixels (method: 2.3, 3.1).

    SFT: 501 steps of four sequences of about 9,000 tokens, of which two pictures are 8,192. GRPO: 101 epochs
    of 384 pictures in 48 groups, 14 steps with guidance, three of them trained through both passes of the
    guidance.
    """
    # About 800 of the 9,000 tokens are text, 60 of them targets.
    sequence = text_forward(sizes, [800], targets=60)
    sequence += image_forward(sizes, pictures=2, prompts=2, context=texts.prompt)
    sft = 501 * 4 * sequence.training(full=True, recompute=True)

    # Guidance doubles every velocity, in sampling and in training.
    velocity = image_forward(sizes, pictures=384, prompts=48, context=texts.plain)
    rollout = 2 * 14 * velocity.forward + 384 * sizes.decode
    trained = 2 * 3 * velocity.training(full=True, recompute=True)

    return sft, 101 * (rollout + trained)
