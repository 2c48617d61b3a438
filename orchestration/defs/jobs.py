"""The jobs of the pipeline.

customize_character   every stage for one character, whether its partition is registered or not
onboard_character     the same from a kit folder anywhere on this machine, with run config alone
prepare_character     the stages before training: check a kit and preview its training samples, in seconds
re_evaluate           evaluate the current checkpoints with today's code; trains nothing

dagster job execute -m orchestration.definitions -j customize_character \\
    --tags '{"dagster/partition": "mochi"}'
dagster job execute -m orchestration.definitions -j onboard_character -c configs/onboard_mochi.yaml
"""

import dagster as dg

from orchestration import bridge
from orchestration.defs import evaluation, interactions, release
from orchestration.executor import in_process_executor

customize_character = dg.define_asset_job(
    "customize_character",
    selection=dg.AssetSelection.all(),
    config=bridge.QUIET,
    description="From a kit to a released model. Outputs that exist for the same inputs are not made again.",
)

prepare_character = dg.define_asset_job(
    "prepare_character",
    selection=dg.AssetSelection.assets(interactions.interactions).upstream(),
    config=bridge.QUIET,
    description="Check a kit and make its interactions; trains nothing.",
    # The steps are light: starting a process for each would take longer than its work.
    executor_def=in_process_executor,
)

re_evaluate = dg.define_asset_job(
    "re_evaluate",
    selection=dg.AssetSelection.assets(evaluation.eval_report, release.release),
    config=bridge.QUIET,
    description="Evaluate the current checkpoints again and judge the release; trains nothing.",
)


class Onboarding(bridge.StageConfig):
    """Run config of `onboard_character`."""

    kit: str
    """The character's folder, anywhere on this machine; copied to `kits/<id>/` if it passes its checks."""


def customize_character_job() -> dg.JobDefinition:
    """The resolved job. `dg.reconstructable` calls this in the process of each step."""
    from orchestration.definitions import defs

    return defs().resolve_job_def("customize_character")


@dg.op
def onboard(context: dg.OpExecutionContext, config: Onboarding) -> None:
    """Copy a kit in, register its character, and run `customize_character` for it in a run of its own."""
    character = bridge.bring_in(config.kit, config, context.instance)
    with dg.execute_job(
        dg.reconstructable(customize_character_job),
        instance=context.instance,
        run_config=bridge.run_config(config),
        tags={"dagster/partition": character, "unichar/onboarded_by": context.run_id},
        raise_on_error=False,
    ) as result:
        shown: dict[str, str | dg.MetadataValue] = {
            "character": character,
            "run": dg.MetadataValue.dagster_run(result.run_id),
        }
        if not result.success:
            raise dg.Failure(bridge.reasons_of(result), metadata=shown, allow_retries=False)
    context.add_output_metadata(shown)


# In the process of this run, which only waits; the run that it starts has a process for each step.
@dg.job(executor_def=in_process_executor, description="Copy a kit folder in and customize its character.")
def onboard_character() -> None:
    onboard()
