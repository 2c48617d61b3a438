"""Stage 6: the evaluation of every arm, from the base to the reinforced model."""

import dagster as dg

from orchestration import bridge, evidence
from orchestration.defs import interactions, kit, training
from orchestration.partitions import CHARACTERS


@dg.asset(
    deps=[
        kit.raw_kit,
        kit.curated_kit,
        interactions.interactions,
        training.sft_checkpoint,
        training.grpo_checkpoint,
    ],
    partitions_def=CHARACTERS,
    group_name="evaluation",
    kinds={"html", "pytorch"},
    pool="gpu",
)
def eval_report(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Numbers with intervals for every arm, contact sheets, and one HTML page that shows both."""
    return bridge.launch(context, "evaluate", config, show=evidence.report)
