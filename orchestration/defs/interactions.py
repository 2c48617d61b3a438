"""Stage 3: the training and test samples of a character."""

import dagster as dg

from orchestration import bridge, evidence
from orchestration.defs import kit
from orchestration.partitions import CHARACTERS


@dg.asset(deps=[kit.curated_kit], partitions_def=CHARACTERS, group_name="interactions", kinds={"json"})
def interactions(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Role play, text-to-image, visual and knowledge questions; training and test set share no topic."""
    return bridge.call(context, "synthesize", config, show=evidence.preview)
