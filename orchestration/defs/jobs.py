"""What one can ask for.

customize_character   the whole line for one character, known to Dagster or not
onboard_character     the same from a kit folder anywhere, told by run config alone
prepare_character     the stages before training: check a kit and see what would be learned from it, in seconds
re_evaluate           judge the checkpoints there are with today's evaluation; trains nothing

dagster job execute -m orchestration.definitions -j customize_character --tags '{"dagster/partition": "mochi"}'
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
    description="From the user's kit to a released model. What was made before for the same reasons is not made again.",
)

prepare_character = dg.define_asset_job(
    "prepare_character",
    selection=dg.AssetSelection.assets(interactions.interactions).upstream(),
    config=bridge.QUIET,
    description="Check a kit and make its interactions; trains nothing.",
    executor_def=in_process_executor,  # light steps: a process each would take longer than the work
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
    """The character's folder, anywhere on this machine; if it passes its checks it is copied to `kits/<id>/`."""


def customize_character_job() -> dg.JobDefinition:
    """The resolved job, for the processes that run it."""
    from orchestration.definitions import defs

    return defs().resolve_job_def("customize_character")


@dg.op
def onboard(context: dg.OpExecutionContext, config: Onboarding) -> None:
    """Bring a kit in, register its character, run its whole partition as a run of its own and wait for it."""
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


# In this process: the stages get their own from the run this one waits for.
@dg.job(executor_def=in_process_executor, description="Bring a kit folder in and make its character.")
def onboard_character() -> None:
    onboard()
