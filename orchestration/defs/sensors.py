"""Sensors: `kit_inbox` customizes kits that appear or change, `dead_runs` closes runs that were killed.

The first is stopped until switched on, the second is always on.
"""

import json

import dagster as dg

from orchestration import bridge
from orchestration.dead_runs import close_dead_runs
from orchestration.defs import jobs
from orchestration.partitions import CHARACTERS
from unichar.pipeline.staleness import last_report, scan_kits
from unichar.store.store import Store

_MOST_A_SCAN = 20
"""Runs requested by one scan; a sensor has 60 s, and a queue of hundreds helps nobody."""


@dg.sensor(
    job=jobs.customize_character, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.STOPPED
)
def kit_inbox(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One run for each content version of a kit in `kits/` or `data/characters/`.

    A version is stable when two scans in a row saw it, because a folder that is still being copied changes
    between scans. Folders that are no kits are named in the log and left alone; nothing is ever deleted.
    """
    memory = json.loads(context.cursor) if context.cursor else {"seen": {}, "asked": {}}
    store = Store.from_env()
    scan = scan_kits(store)
    for name, reason in scan.skipped.items():
        context.log.warning("not a kit: %s: %s", name, reason)

    stable = {key: version for key, version in scan.versions.items() if memory["seen"].get(key) == version}
    due = []
    for key, version in stable.items():
        if version not in (_asked(memory, key)[0], _made_from(key, store)):
            due.append(key)

    requests = []
    for key in due[:_MOST_A_SCAN]:
        # The count gives a kit that went back to an older content a new key; Dagster skips a known key.
        count = _asked(memory, key)[1] + 1
        memory["asked"][key] = [stable[key], count]
        requests.append(_request(key, stable[key], count, store))

    cursor = json.dumps(memory | {"seen": scan.versions})
    if not requests:
        reason = f"{len(scan.versions)} kits, none new or changed; {len(scan.skipped)} folders are no kits"
        return dg.SensorResult(skip_reason=reason, cursor=cursor)

    new = CHARACTERS.build_add_request(
        [request.partition_key for request in requests if request.partition_key]
    )
    return dg.SensorResult(run_requests=requests, dynamic_partitions_requests=[new], cursor=cursor)


def _asked(memory: dict[str, dict[str, list]], key: str) -> tuple[str, int]:
    """The content version that a run was requested for last, and how many runs were requested so far."""
    version, count = memory["asked"].get(key, ("", 0))
    return version, count


def _made_from(key: str, store: Store) -> str:
    """The content version that the character's last report was made from; empty without a report."""
    report = last_report(key, store)
    return report.manifest["kit_hash"] if report else ""


def _request(key: str, version: str, count: int, store: Store) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{key}@{version}#{count}",
        partition_key=key,
        run_config=bridge.last_run_config(key, store),
        tags={"unichar/kit_version": version},
    )


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Marks runs failed whose process was killed, and frees their pool slots. Two small queries a tick."""
    changes: list[str] = []
    close_dead_runs(context.instance, changes.append)
    for change in changes:
        context.log.info(change)
    return dg.SkipReason("; ".join(changes) or "no run is dead")
