"""The only place where Dagster meets `unichar`. Assets say what runs when; here is how it is called.

    admit    the user's kit: check the key, find the folder, register the partition
    check    the kit's checks, one result each
    bring_in a kit from anywhere, for onboarding
    call     a stage in this process (validate, curate, synthesize, release)
    launch   a stage in a process of its own (sft, grpo, evaluate): the very command a person types

What a user can mend ends a step with one `dg.Failure` that says what, where and how, and is never retried.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.evidence import Evidence
from orchestration.partitions import CHARACTERS
from orchestration.process_group import explain, run_in_group
from orchestration.process_identity import RUN_VARIABLE
from unichar.errors import UserError
from unichar.kit.content import kit_files
from unichar.kit.schema import check_key
from unichar.kit.verdict import CheckResult, KitRejected, gate
from unichar.pipeline.display import show as results
from unichar.pipeline.kit_gate import check_kit
from unichar.pipeline.lineage import hash_kit
from unichar.pipeline.onboarding import onboard
from unichar.pipeline.run import run_stage
from unichar.pipeline.staleness import last_settings
from unichar.release.gate import read_report
from unichar.stages import STAGES, stage_of
from unichar.store.store import Output, Store

QUIET: dict[str, Any] = {"loggers": {"terminal": {}}}
"""Run config for one line a stage on the terminal instead of Dagster's log."""

_CONFIGURED = ("kit_checks", *(stage.noun for stage in STAGES if stage.verb))


class StageConfig(dg.Config):
    """Run config of every stage; both have defaults, so `-c` is optional."""

    preset: str = os.environ.get("UNICHAR_PRESET") or "cpu"
    """A named preset: smoke, cpu or bagel. The default is UNICHAR_PRESET of the environment, else cpu."""
    seed: int = 0


def run_config(config: StageConfig) -> dict[str, Any]:
    """Run config of the whole line with one preset and seed."""
    ops = {name: {"config": {"preset": config.preset, "seed": config.seed}} for name in _CONFIGURED}
    return {"ops": ops, **QUIET}


def last_run_config(character: str, store: Store) -> dict[str, Any]:
    """Run config with what the character was made with last, or the defaults for a new one."""
    last = last_settings(character, store)
    return run_config(StageConfig(preset=last.preset, seed=last.seed) if last else StageConfig())


def character_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """The partition key of a run, checked.

    Raises:
        dg.Failure: The run has no partition, or its key is no character id.
    """
    if not context.has_partition_key:
        raise dg.Failure('say which character: --tags \'{"dagster/partition": "<id>"}\'', allow_retries=False)
    with user_errors():
        check_key(context.partition_key)
    return context.partition_key


def admit(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Register a character whose kit is there: its partition exists from now on.

    Registering comes last, so a wrong key or a missing kit leaves nothing behind. See
    docs/decisions/0002-self-registering-partition.md.
    """
    character, store = character_of(context), Store.from_env()
    with user_errors():
        version = hash_kit(character, store)
        files = kit_files(store.kit(character))
    _register(character, context.instance)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version),
        tags={"unichar/fingerprint": version},
        metadata={
            "kit": dg.MetadataValue.path(str(store.kit(character))),
            "kit_hash": version,
            "files": len(files),
            "kilobytes": round(sum(file.stat().st_size for file in files) / 1024, 1),
        },
    )


def bring_in(kit: str, config: StageConfig, instance: dg.DagsterInstance) -> str:
    """Check a kit folder, copy it into `kits/` and register its character. A rejected kit changes nothing.

    Returns:
        The character's id.
    """
    with user_errors():
        character = onboard(Path(kit).expanduser(), preset=config.preset)
    _register(character, instance)
    return character


def reasons_of(result: dg.JobExecutionResult) -> str:
    """Why a run failed: the message of each failed step, as a user would want to read it."""
    lines = [f"run {result.run_id} failed"]
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        failure = event.step_failure_data
        said = (
            failure.user_failure_data.description
            if failure.user_failure_data
            else failure.error_display_string
        )
        lines.append(f"{event.step_key}: {said}")
    return "\n".join(lines)


def check(context: dg.AssetCheckExecutionContext, config: StageConfig) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of every selected check of the kit; for a rejected kit, then fail with all reasons."""
    character = character_of(context)
    with user_errors():
        verdict = check_kit(character, preset=config.preset)
    for result in verdict.results:
        key = dg.AssetCheckKey(dg.AssetKey("raw_kit"), result.name)
        if key in context.selected_asset_check_keys:
            yield _check_result(key, result)
    with user_errors():
        gate(verdict, verdict.kit_hash, Store.from_env().kit(character))


def call(
    context: dg.AssetExecutionContext,
    verb: str,
    config: StageConfig,
    *,
    show: Callable[[Output], Evidence] | None = None,
) -> dg.MaterializeResult:
    """Run a stage in this process, or find what it would make."""
    with user_errors():
        output = run_stage(verb, character_of(context), preset=config.preset, seed=config.seed)
    return _result(output, show, made="made" if output.fresh else "already there")


def launch(
    context: dg.AssetExecutionContext,
    verb: str,
    config: StageConfig,
    *,
    show: Callable[[Output], Evidence] | None = None,
) -> dg.MaterializeResult:
    """Run a stage in a process group of its own.

    Its memory is given back when it ends, and a cancelled run leaves none of its processes behind.
    """
    character = character_of(context)
    command = [sys.executable, "-m", "unichar", verb, "--character", character]
    command += ["--preset", config.preset, "--seed", str(config.seed)]
    context.log.info("running: %s", shlex.join(command))
    ended = run_in_group(command, environment={RUN_VARIABLE: context.run.run_id})
    if ended.code:
        raise dg.Failure(
            f"{verb} of {character} failed ({explain(ended.code)}). Its last lines:\n{ended.tail}",
            metadata={"command": shlex.join(command), "exit_code": ended.code, "last_lines": ended.tail},
            allow_retries=False,
        )
    with user_errors():
        output = Store.from_env().current(character, stage_of(verb).noun)
    return _result(output, show, made="already there" if "already there" in ended.tail else "made")


def main_results(character: str) -> list[str]:
    """Where the report of a character is and its three main numbers, a line each; none if unreadable."""
    try:
        return results(character, Store.from_env()).splitlines()
    except (UserError, OSError):
        return []


def report_of(context: dg.AssetCheckExecutionContext) -> dict[str, Any]:
    """The content of the character's current report.json."""
    with user_errors():
        return read_report(Store.from_env().current(character_of(context), "eval_report").folder)


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Turn what a user can mend into a `dg.Failure` that shows its message instead of a traceback."""
    try:
        yield
    except KitRejected as error:
        reasons = dg.MetadataValue.json(list(error.reasons))
        raise dg.Failure(str(error), metadata={"reasons": reasons}, allow_retries=False) from None
    except (UserError, OSError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None


def _check_result(key: dg.AssetCheckKey, result: CheckResult) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if result.severity == "critical" else dg.AssetCheckSeverity.WARN
    metadata: dict[str, Any] = {"offenders": result.num_offenders, "skipped": result.skipped}
    if result.observed:
        columns = dg.TableSchema(columns=[dg.TableColumn(name="where"), dg.TableColumn(name="says")])
        rows = [dg.TableRecord(row) for row in result.observed]
        metadata |= {"hint": result.hint, "examples": dg.MetadataValue.table(rows, schema=columns)}
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.passed,
        severity=severity,
        metadata=metadata,
    )


def _register(character: str, instance: dg.DagsterInstance) -> None:
    assert CHARACTERS.name is not None
    instance.add_dynamic_partitions(CHARACTERS.name, [character])


def _result(output: Output, show: Callable[[Output], Evidence] | None, *, made: str) -> dg.MaterializeResult:
    metadata: dict[str, Any] = dict(show(output)) if show else {}
    metadata |= {
        "made": made,
        "output": dg.MetadataValue.path(str(output.folder)),
        "fingerprint": output.fingerprint,
    }
    for name, value in output.summary.items():
        if isinstance(value, int | float | str):
            metadata[name] = round(value, 4) if isinstance(value, float) else value
    return dg.MaterializeResult(
        data_version=dg.DataVersion(output.version),
        tags={"unichar/fingerprint": output.fingerprint},
        metadata=metadata,
    )
