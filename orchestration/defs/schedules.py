"""The weekly retraining of characters whose inputs changed. Stopped until switched on."""

import dagster as dg

from orchestration import bridge
from orchestration.defs import jobs
from orchestration.partitions import CHARACTERS
from unichar.pipeline.staleness import staleness
from unichar.store.store import Store


@dg.schedule(
    job=jobs.customize_character, cron_schedule="0 3 * * 1", default_status=dg.DefaultScheduleStatus.STOPPED
)
def weekly_retrain(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run for each character whose kit, settings, code or base changed since its last report.

    It uses preset and seed of that report. For every other character the reason for skipping it is logged.
    """
    store = Store.from_env()
    requests, skipped = [], []

    for character in context.instance.get_dynamic_partitions(CHARACTERS.name or ""):
        found = staleness(character, store)
        context.log.info("%s: %s: %s", character, "runs" if found.due else "skipped", found.reason)
        if not found.due:
            skipped.append(f"{character}: {found.reason}")
            continue

        requests.append(
            dg.RunRequest(
                run_key=f"{character}@{context.scheduled_execution_time:%Y-%m-%d}",
                partition_key=character,
                run_config=bridge.last_run_config(character, store),
                tags={"unichar/reason": found.reason},
            )
        )

    return requests or dg.SkipReason("; ".join(skipped) or "there are no characters yet")
