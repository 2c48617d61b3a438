"""Stages 4 and 5: SFT and GRPO. Each trains in a process of its own and holds one slot of pool `gpu`."""

import dagster as dg

from orchestration import bridge, evidence
from orchestration.defs import interactions, kit
from orchestration.partitions import CHARACTERS


@dg.asset(
    deps=[kit.validated_kit, kit.curated_kit, interactions.interactions],
    partitions_def=CHARACTERS,
    group_name="training",
    kinds={"pytorch"},
    pool="gpu",
)
def sft_checkpoint(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Unified supervised fine-tuning: cross-entropy on text and flow matching on images in one loss."""
    return bridge.launch(context, "sft", config, show=evidence.curves)


@dg.asset(
    deps=[kit.validated_kit, kit.curated_kit, interactions.interactions, sft_checkpoint],
    partitions_def=CHARACTERS,
    group_name="training",
    kinds={"pytorch"},
    pool="gpu",
)
def grpo_checkpoint(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Character-GRPO: image generation reinforced by group-relative rewards, from the SFT checkpoint on."""
    return bridge.launch(context, "grpo", config, show=evidence.curves)
