"""Stages 0 to 2: the user's kit, its checks, and the curated kit.

Three gates keep a rejected kit out of training; see docs/decisions/0003-three-gates.md.
"""

from collections.abc import Iterator

import dagster as dg

from orchestration import bridge, evidence
from orchestration.partitions import CHARACTERS
from unichar.kit.checks import CHECKS


@dg.asset(partitions_def=CHARACTERS, group_name="kit", kinds={"yaml"})
def raw_kit(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The user's folder: pictures, persona, facts, example exchanges. Registers a new character."""
    return bridge.admit(context)


@dg.multi_asset_check(
    name="kit_checks",
    specs=[
        dg.AssetCheckSpec(
            name=check.name,
            asset=raw_kit,
            description=check.description,
            blocking=check.severity == "critical",
            partitions_def=CHARACTERS,
        )
        for check in CHECKS
    ],
    can_subset=True,
)
def kit_checks(
    context: dg.AssetCheckExecutionContext, config: bridge.StageConfig
) -> Iterator[dg.AssetCheckResult]:
    """Whether a kit is good enough to train on: one pass of Great Expectations, every reason at once."""
    yield from bridge.check(context, config)


@dg.asset(deps=[raw_kit], partitions_def=CHARACTERS, group_name="kit", kinds={"greatexpectations"})
def validated_kit(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """The verdict on a kit. Materialized only for a kit that passed its checks with its current content."""
    return bridge.call(context, "validate", config, show=evidence.verdict)


@dg.asset(deps=[raw_kit, validated_kit], partitions_def=CHARACTERS, group_name="kit", kinds={"python"})
def curated_kit(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Pictures normalised, de-duplicated and split into training and held-out ones, with captions."""
    return bridge.call(context, "curate", config, show=evidence.pictures)
