"""READ THIS FIRST. One character, from a folder to a released model: `customize` runs every stage in order.

    unichar customize --character mochi --preset cpu --seed 0

The functions stand in the order in which they are called:

    customize     all stages, one after the other
    run_stage     one stage: check, find an output with the same fingerprint, else make it
    _make         call the stage's `run(job)` in a temporary folder and publish what it wrote
    _promote      after `release`: make the new model the one that `talk` and `merge` use

What a stage reads and its fingerprint come from `lineage.py`, where outputs lie from
`unichar/store/store.py`, what a stage gets from `StageJob` in `unichar/types.py`. Dagster runs the same
`run_stage`, one asset per stage; nothing here knows about Dagster. torch is not loaded until a stage that
needs it runs.

Not in the paper, whose scripts train from a path and write to a path.
"""

import logging
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

from unichar.errors import UserError
from unichar.kit.schema import check_key
from unichar.pipeline.compatibility import check_compatible
from unichar.pipeline.kit_gate import check_gate, recorded_verdict
from unichar.pipeline.launcher import launched_ranks
from unichar.pipeline.lineage import StageSpec, StaleInput, hash_kit, stage_spec
from unichar.presets import Preset, get_preset
from unichar.stages import STAGES, stage_of
from unichar.store.files import json_bytes, locked, write_atomic
from unichar.store.store import Output, Store
from unichar.types import StageJob

_LOG = logging.getLogger(__name__)
_TOOLS = ("torch", "transformers", "safetensors", "great-expectations", "numpy", "pillow")
"""Packages whose versions are recorded in every manifest."""


def customize(
    character: str, *, preset: str = "cpu", seed: int = 0, store: Store | None = None
) -> list[Output]:
    """Run every stage for one character and return their outputs; prints one line per stage.

    A stage whose output exists for the same kit, code, settings and seed does not run again.

    Raises:
        KitRejected: The kit failed its checks; the message has every reason.
        UserError: Anything else that the user can mend.
    """
    store = store or Store.from_env()

    # Stage 0 is the user's kit, which is not made but read.
    outputs = []
    for stage in STAGES[1:]:
        began = time.monotonic()
        output = run_stage(stage.verb, character, preset=preset, seed=seed, store=store)
        outputs.append(output)

        # The line of the stage, printed as soon as it ends: the next one may take minutes.
        took = f"{time.monotonic() - began:.1f} s" if output.fresh else "already there"
        print(f"{stage.verb:<10} -> {stage.noun:<15} {output.fingerprint}  {took}", flush=True)

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
    """Make one stage's output, or return the one that was made with the same code, settings, seed and inputs.

    Args:
        verb: The stage, as "sft".
        character: Id of the character.
        preset: Named settings.
        seed: Of everything random in the stage.
        store: Where outputs lie; the one of the environment by default.
        force: Make the output again although it exists, and replace it.

    Raises:
        MissingFile: There is no such kit or base model.
        UserError: The preset cannot take this kit through all stages, or one of its judges is missing.
        KitRejected: The kit failed its checks, or changed since it passed them.
        MissingOutput: A stage before it was never run; the message names the command.
        StaleInput: A stage before it must run again first; the message names the command.
        BrokenOutput: A file of an input is damaged.
        StoreError: The disk refused.
    """
    check_key(character)
    store, stage, settings = store or Store.from_env(), stage_of(verb), get_preset(preset)

    # A missing kit is reported before anything that follows from it.
    hash_kit(character, store)
    check_compatible(stage, settings, character, store)
    if stage.own_process:
        check_gate(character, store)

    # The fingerprint of what would come out. It needs the inputs' versions, but not their files.
    spec = stage_spec(stage, character, preset=settings, seed=seed, store=store)
    for output in spec.inputs.values():
        # A damaged input would spoil hours of training, and its checksums are remembered, so this is quick.
        store.verify(output)

    def run_on_other_ranks(out: Path) -> None:
        _call(spec, _job(spec, store, out))

    # Two processes that want the same output: the second waits, then finds what the first has made.
    lock = store.lock_file(character, stage.noun, spec.key)
    waiting = f"another {verb} of {character} is running: waiting"
    with launched_ranks(verb, run_on_other_ranks) as start_other_ranks, locked(lock, waiting=waiting):
        found = None if force else store.find(character, stage.noun, spec.key)
        if found:
            # Made by an earlier run; other settings may have been current since.
            store.verify(found)
            output = store.use(found)
        else:
            output = _make(spec, store, start_other_ranks, force=force)

    # Also for a release that was there already: another one may have been promoted since.
    if stage.noun == "release":
        _promote(output, settings, store)
    return output


def _make(spec: StageSpec, store: Store, start_other_ranks: Callable[[Path], None], *, force: bool) -> Output:
    """Run a stage in a temporary folder and publish what it wrote."""
    stage, character = spec.stage, spec.character
    scratch = store.scratch_folder(character, stage.noun, spec.key)
    if force:
        # Otherwise the stage would resume from the state of the very run that is to be repeated.
        shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)

    with store.staging(character, stage.noun, spec.key) as out:
        start_other_ranks(out)
        summary = _run(spec, _job(spec, store, out))

        # The kit is not locked, so its author may have saved a file while the stage was reading.
        if "raw_kit" in stage.needs and hash_kit(character, store) != spec.kit_hash:
            raise StaleInput(
                f"the kit of {character} changed while {stage.verb} was reading it: run the command again"
            )

        # Settings and numbers beside the product; the manifest that publishes them comes last.
        about = {"character": character, "verb": stage.verb, "preset": spec.preset.name, "seed": spec.seed}
        settings = {name: spec.recipe[name] for name in ("config", "load") if name in spec.recipe}
        write_atomic(out / "config.json", json_bytes(about | settings))
        write_atomic(out / "summary.json", json_bytes(summary))
        return store.publish(out, _manifest(spec), force=force)


def _run(spec: StageSpec, job: StageJob) -> dict[str, Any]:
    """Call the stage's `run(job)`; returns its numbers with what it took in operations, seconds and memory.

    Raises:
        UserError: A number is NaN or infinite.
    """
    stage = spec.stage
    began = time.monotonic()

    summary = _call(spec, job)

    # Counted here and not by the trainers, since `cost` lies above them.
    if stage.config in ("sft", "grpo"):
        summary |= import_module("unichar.cost.measured").training_flops(stage.verb, job, summary)
    if stage.noun == "release":
        summary["promoted"] = bool(summary["passed"]) and spec.preset.promotes
    summary["seconds"] = round(time.monotonic() - began, 2)
    summary["peak_rss_mb"] = _peak_rss_mb()

    _check_finite(stage.verb, summary)
    return summary


def _call(spec: StageSpec, job: StageJob) -> dict[str, Any]:
    """Call `run(job)` of a stage's module, on every rank; returns its numbers.

    Raises:
        UserError: The GPU has not enough memory; the message names the setting to change.
    """
    # Imported by name, so that a stage's libraries are loaded only when it runs.
    module = import_module(spec.stage.module)
    if not spec.stage.own_process:
        return dict(module.run(job))

    # Settings may leave open how much is computed at once: the card decides, and the recipe stays the same.
    fit = import_module("unichar.cost.fit")
    fitted = fit.choose_microbatches(job)
    with fit.out_of_memory_explained(spec.stage.verb, fitted):
        summary = dict(module.run(fitted))
    return summary | fit.chosen_microbatches(job, fitted)


def _promote(release: Output, preset: Preset, store: Store) -> None:
    """Make a release that passed its gate the one that `talk` and `merge` use, if the preset allows it."""
    # A release that failed its gate stays on disk with its card, and the old model in use.
    if not release.summary["passed"]:
        return

    if preset.promotes:
        store.promote(release)
    else:
        _LOG.info(
            "release of %s: passed its gate, but models of the preset %s are never promoted",
            release.character,
            preset.name,
        )


def _job(spec: StageSpec, store: Store, out: Path) -> StageJob:
    """What the stage's `run` gets."""
    # Folders only: a stage knows nothing of the store, versions or fingerprints.
    inputs = {noun: output.folder for noun, output in spec.inputs.items()}

    # Settings, seed and base as in the recipe, so that the fingerprint covers what the stage sees.
    return StageJob(
        character=spec.character,
        config=spec.preset.config_of(spec.stage),
        seed=spec.seed,
        inputs=inputs | _kit_inputs(spec, store),
        base=spec.base,
        load=spec.preset.load,
        scratch=store.scratch_folder(spec.character, spec.stage.noun, spec.key),
        out=out,
        preset=spec.preset.name,
        checksums=store.hashes.path,
    )


def _kit_inputs(spec: StageSpec, store: Store) -> dict[str, Path]:
    """The folders of the character's kit and of the starter characters, for stages that read kits.

    For `validate` also a recorded verdict on this kit, so that its checks do not run twice.
    """
    # Most stages read the curated kit only.
    if "raw_kit" not in spec.stage.needs:
        return {}

    inputs = {"raw_kit": store.kit(spec.character), "starters": store.starters}
    if spec.stage.verb == "validate":
        verdict = recorded_verdict(
            spec.character, kit_hash=spec.kit_hash, preset=spec.preset.name, store=store
        )
        if verdict:
            inputs["validation"] = verdict
    return inputs


def _manifest(spec: StageSpec) -> dict[str, Any]:
    """What `manifest.json` says of the run; see `unichar/store/manifest.py`."""
    # For people who want to reproduce it; not part of the fingerprint.
    tools = {"python": platform.python_version()}
    quantised = ("bitsandbytes",) if spec.recipe.get("load", {}).get("quantize") else ()
    tools |= {name: version(name) for name in (*_TOOLS, *quantised)}

    return {
        "character": spec.character,
        "noun": spec.stage.noun,
        "preset": spec.preset.name,
        "model": spec.preset.model,
        "recipe": spec.recipe,
        "inputs": {noun: output.fingerprint for noun, output in spec.inputs.items()},
        "kit_hash": spec.kit_hash,
        "tools": tools,
    }


def _check_finite(verb: str, summary: dict[str, Any]) -> None:
    """Refuse to publish a model that diverged.

    Raises:
        UserError: A number is NaN or infinite.
    """
    bad = [name for name, value in summary.items() if isinstance(value, float) and not math.isfinite(value)]

    if bad:
        # JSON could not hold it either.
        raise UserError(
            f"{verb} ended with {', '.join(bad)} not a number: it diverged; "
            "lower its learning rate or change the seed"
        )


def _peak_rss_mb() -> float:
    """Peak memory of this process in MB; under Dagster a stage that trains has a process of its own."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
