"""Stages 0 to 2: the user's kit, its checks, and the kit made ready. Three gates keep a bad kit out of training, see
docs/decisions/0003-three-gates.md."""

from collections.abc import Iterator

import dagster as dg

from orchestration import bridge, evidence
from orchestration.partitions import CHARACTERS
from unichar.kit.checks import CHECKS


@dg.asset(partitions_def=CHARACTERS, group_name="kit", kinds={"yaml"})
def raw_kit(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The folder a user brought: pictures, persona, facts, example exchanges. Registers the character if it is new."""
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
    """Is this kit good enough to train on? One Great Expectations pass, every reason at once."""
    yield from bridge.check(context, config)


@dg.asset(deps=[raw_kit], partitions_def=CHARACTERS, group_name="kit", kinds={"greatexpectations"})
def validated_kit(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """The verdict on a kit. Exists only for a kit that passed, as it is now."""
    return bridge.call(context, "validate", config, show=evidence.verdict)


@dg.asset(deps=[raw_kit, validated_kit], partitions_def=CHARACTERS, group_name="kit", kinds={"python"})
def curated_kit(context: dg.AssetExecutionContext, config: bridge.StageConfig) -> dg.MaterializeResult:
    """Pictures normalised and de-duplicated, captions and attributes filled in, train and held-out pictures apart."""
    return bridge.call(context, "curate", config, show=evidence.pictures)
