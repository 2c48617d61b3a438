"""READ THIS FIRST. One character, from a folder to a released model: `customize` runs every stage in order.

    python -m unichar customize --character mochi --preset cpu --seed 0

Each stage is `run_stage`: find what it reads, compute the fingerprint of what would come out, and when that is not
published yet, call the stage's `run(job)` in a temporary folder and publish it. The same runs under Dagster, one asset a
stage; nothing here knows about Dagster. No torch is loaded until a stage that needs it runs.

Departs from the paper: it has no line. Its scripts train from a path and write to a path; nothing is checked, found again
or skipped.
"""

import dataclasses
import math
import platform
import resource
import shutil
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unichar.kit.schema import check_key
from unichar.kit.verdict import Verdict, gate, read_verdict
from unichar.pipeline.compatibility import check_compatible
from unichar.pipeline.launcher import crew
from unichar.pipeline.lineage import StageSpec, StaleInput, hash_kit, stage_spec
from unichar.presets import get_preset
from unichar.stages import STAGES, stage_of
from unichar.store.files import json_bytes, locked, write_atomic
from unichar.store.fingerprint import code_version, fingerprint
from unichar.store.manifest import read_json
from unichar.store.store import Output, Store
from unichar.types import StageJob

_TOOLS = ("torch", "transformers", "safetensors", "great-expectations", "numpy", "pillow")


def customize(
    character: str, *, preset: str = "cpu", seed: int = 0, store: Store | None = None
) -> list[Output]:
    """Run the whole line for one character; what is already made for the same reasons is not made again.

    Raises:
        KitRejected: The kit failed its checks; the message has every reason.
        ValueError: Anything else a user can mend, in one message.
    """
    store = store or Store.from_env()
    outputs = []
    for stage in STAGES[1:]:
        began = time.monotonic()
        output = run_stage(stage.verb, character, preset=preset, seed=seed, store=store)
        did = f"{time.monotonic() - began:.1f} s" if output.fresh else "already there"
        print(f"{stage.verb:<10} -> {stage.noun:<15} {output.fingerprint}  {did}", flush=True)
        outputs.append(output)
    return outputs


def run_stage(
    verb: str,
    character: str,
    *,
    preset: str = "cpu",
    seed: int = 0,
    store: Store | None = None,
    force: bool = False,
) -> Output:
    """Make one stage's output, or return the one that the same code, settings, seed and inputs have made already.

    Inputs are the current outputs of the stages before. `force` makes it again and replaces it.

    Raises:
        MissingOutput: A stage before it was never run; the message names the command.
        StaleInput: A stage before it must run again first; the message names the command.
        KitRejected: The kit failed its checks, or changed since it passed them.
        UserError: The preset cannot take this kit through all stages, or one of its judges is missing.
        FileNotFoundError: There is no such kit or base model.
        BrokenOutput: A file of an input is damaged.
        StoreError: The disk refused.
    """
    check_key(character)
    store, stage = store or Store.from_env(), stage_of(verb)
    hash_kit(character, store)  # a kit that is not there is said first
    check_compatible(stage, get_preset(preset), character, store)
    if stage.own_process:
        check_gate(character, store)
    plan = stage_spec(stage, character, preset=get_preset(preset), seed=seed, store=store)
    for output in plan.inputs.values():
        store.verify(output)
    lock, waiting = (
        store.lock_file(character, stage.noun, plan.key),
        f"another {verb} of {character} is running: waiting",
    )
    with (
        crew(verb, lambda out: import_module(stage.module).run(_job(plan, store, out))) as begin,
        locked(lock, waiting=waiting),
    ):
        found = None if force else store.find(character, stage.noun, plan.key)
        if found:
            store.verify(found)
            output = store.use(found)
        else:
            output = _make(plan, store, begin, force=force)
    if stage.noun == "release" and output.summary["passed"]:
        store.promote(output)
    return output


def check_kit(
    character: str, *, preset: str = "cpu", store: Store | None = None, verdict: Verdict | None = None
) -> Verdict:
    """Check a user's kit and put the verdict on record, good or bad: `0_raw_kit/<kit hash>/validation.json`.

    `verdict` is the one on the kit as it is now, when it was checked just before with the same settings.

    Raises:
        FileNotFoundError: There is no such kit.
    """
    from unichar.kit.validate import inspect

    check_key(character)
    store, config = store or Store.from_env(), get_preset(preset).kit
    version = hash_kit(character, store)
    check_compatible(stage_of("validate"), get_preset(preset), character, store)
    evidence = _evidence(character, version, store)
    if verdict is None or verdict.kit_hash != version:
        verdict = inspect(store.kit(character), config)
    write_atomic(evidence, verdict.to_json().encode())
    write_atomic(evidence.with_name("checked_by.json"), json_bytes(_checker(preset)))
    return verdict


def check_gate(character: str, store: Store) -> None:
    """Refuse to train on a kit that did not pass its checks as it is now, whatever else has run since.

    Raises:
        KitRejected: The kit failed, or changed since it passed.
        MissingOutput: It was never checked.
    """
    validated = store.current(character, "validated_kit")
    store.verify(validated)
    verdict = read_verdict(validated.folder / "validation.json")
    gate(verdict, hash_kit(character, store), store.kit(character))


def _make(plan: StageSpec, store: Store, begin: Callable[[Path], None], *, force: bool) -> Output:
    """Run a stage in a temporary folder and publish what it wrote."""
    stage, character = plan.stage, plan.character
    work = store.scratch_folder(character, stage.noun, plan.key)
    if force:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    with store.staging(character, stage.noun, plan.key) as out:
        job = _job(plan, store, out)
        begin(out)
        began = time.monotonic()
        summary = import_module(stage.module).run(job)
        if stage.config in ("sft", "grpo"):
            summary |= import_module("unichar.cost.measured").training_flops(stage.verb, job, summary)
        summary = {**summary, "seconds": round(time.monotonic() - began, 2), "peak_rss_mb": _peak_rss_mb()}
        _check_finite(stage.verb, summary)
        if "raw_kit" in stage.needs and hash_kit(character, store) != plan.kit_hash:
            raise StaleInput(
                f"the kit of {character} changed while {stage.verb} was reading it: run the line again"
            )
        write_atomic(out / "summary.json", json_bytes(summary))
        about = {"character": character, "verb": stage.verb, "preset": plan.preset.name, "seed": plan.seed}
        write_atomic(out / "config.json", json_bytes(about | {"config": plan.recipe["config"]}))
        return store.publish(out, _manifest(plan), force=force)


def _job(plan: StageSpec, store: Store, out: Path) -> StageJob:
    """What the stage's `run` gets."""
    return StageJob(
        character=plan.character,
        config=plan.preset.config_of(plan.stage),
        seed=plan.seed,
        inputs={noun: output.folder for noun, output in plan.inputs.items()} | _kit_inputs(plan, store),
        base=plan.base,
        scratch=store.scratch_folder(plan.character, plan.stage.noun, plan.key),
        out=out,
        preset=plan.preset.name,
    )


def _manifest(plan: StageSpec) -> dict[str, Any]:
    return {
        "character": plan.character,
        "noun": plan.stage.noun,
        "preset": plan.preset.name,
        "model": plan.preset.model,
        "recipe": plan.recipe,
        "inputs": {noun: output.fingerprint for noun, output in plan.inputs.items()},
        "kit_hash": plan.kit_hash,
        "tools": {"python": platform.python_version()} | {name: version(name) for name in _TOOLS},
    }


def _kit_inputs(plan: StageSpec, store: Store) -> dict[str, Path]:
    """For the stages that read kits: the character's folder, the folder of the starters, and the verdict if there is one.

    `validation` is the verdict on just this kit by just this code, so that its checks do not run twice.
    """
    if "raw_kit" not in plan.stage.needs:
        return {}
    evidence = _evidence(plan.character, plan.kit_hash, store)
    checked_by = evidence.with_name("checked_by.json")
    known = (
        plan.stage.verb == "validate"
        and checked_by.exists()
        and read_json(checked_by) == _checker(plan.preset.name)
    )
    kits = {"raw_kit": store.kit(plan.character), "starters": store.starters}
    return kits | ({"validation": evidence} if known else {})


def _evidence(character: str, kit: str, store: Store) -> Path:
    return store.stage_folder(character, "raw_kit") / kit / "validation.json"


def _checker(preset: str) -> dict[str, str]:
    """What a verdict depends on besides the kit: evidence by other code or settings is not evidence."""
    stage = stage_of("validate")
    settings = dataclasses.asdict(get_preset(preset).kit)
    return {"code_version": code_version(stage.packages), "config": fingerprint(settings)}


def _check_finite(verb: str, summary: dict[str, Any]) -> None:
    bad = [name for name, value in summary.items() if isinstance(value, float) and not math.isfinite(value)]
    if bad:
        raise ValueError(
            f"{verb} ended with {', '.join(bad)} not a number: it diverged; lower its learning rate or change the seed"
        )


def _peak_rss_mb() -> float:
    """Peak memory of this process so far, which under Dagster is this stage's alone."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
