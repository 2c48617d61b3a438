"""Stage 3: what the model learns from and is asked."""

import dagster as dg

from orchestration import bridge, evidence
from orchestration.defs import kit
from orchestration.partitions import CHARACTERS


@dg.asset(deps=[kit.curated_kit], partitions_def=CHARACTERS, group_name="interactions", kinds={"json"})
def interactions(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Role-play, portraits, visual and knowledge questions; the test set shares no topic with the training set."""
    return bridge.call(context, "synthesize", config, show=evidence.preview)
