"""FLOPs of all stages of a character, from a preset."""

from unichar.cost.flops import Sizes
from unichar.cost.grpo import round_flops, text_round_flops
from unichar.cost.report import report_flops
from unichar.cost.sft import step_flops
from unichar.cost.workload import TextLengths
from unichar.presets import Preset


def stage_flops(
    preset: Preset, sizes: Sizes, texts: TextLengths, *, full: bool
) -> dict[str, tuple[float, int]]:
    """Stage -> (FLOPs of one step, round or report; how many there are)."""
    sft, grpo = preset.sft, preset.grpo
    stages = {
        "sft": (step_flops(sizes, texts, sft, full=full), sft.steps),
        "grpo": (
            round_flops(sizes, texts, grpo, gen_rank=sft.gen_rank, full=full),
            grpo.rounds,
        ),
    }
    if grpo.text.rounds:
        replies = text_round_flops(sizes, texts, grpo, und_rank=sft.und_rank, full=full)
        stages["text_rl"] = (replies, grpo.text.rounds)

    report = report_flops(
        sizes, texts, preset.evaluation, arms=preset.evaluation.arms, text_rl=grpo.text.rounds > 0
    )
    return stages | {"evaluate": (report, 1)}
