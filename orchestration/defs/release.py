"""Stage 7: the model card, the release gate and the pointer to the promoted checkpoint."""

import dagster as dg

from orchestration import bridge
from orchestration.defs import evaluation, kit, training
from orchestration.partitions import CHARACTERS


@dg.asset(
    deps=[kit.raw_kit, evaluation.eval_report, training.grpo_checkpoint],
    partitions_def=CHARACTERS,
    group_name="evaluation",
)
def release(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """The model card and the gate's verdict. The checkpoint is promoted only when the gate is passed."""
    return bridge.call(context, "release", config)
