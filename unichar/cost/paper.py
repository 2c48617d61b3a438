"""What the paper's own settings compute, counted as everything here is: a check of the counting, and what is compared with."""

from unichar.cost.flops import Sizes, drawing, reading
from unichar.cost.workload import Texts


def paper_flops(sizes: Sizes, texts: Texts) -> tuple[float, float]:
    """(SFT, GRPO) operations of the published settings with full tuning at 1024 pixels (method: 2.3, 3.1).

    SFT: 501 steps of four sequences of about 9,000 tokens, of which two pictures are 8,192. GRPO: 101 epochs of 384 pictures in
    48 groups, 14 steps with guidance, three of them trained through both passes of the guidance.
    """
    sequence = reading(sizes, [800], targets=60) + drawing(sizes, pictures=2, prompts=2, context=texts.prompt)
    rollout = (
        2 * 14 * drawing(sizes, pictures=384, prompts=48, context=texts.plain).forward + 384 * sizes.decode
    )
    trained = (
        2
        * 3
        * drawing(sizes, pictures=384, prompts=48, context=texts.plain).training(full=True, recompute=True)
    )
    return 501 * 4 * sequence.training(full=True, recompute=True), 101 * (rollout + trained)
