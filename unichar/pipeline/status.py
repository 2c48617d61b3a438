"""What exists, what would run and why, and what is broken. Only `doctor` changes anything: it removes
leftovers.

    unichar status
    unichar customize --character mochi --preset cpu --dry-run
    unichar doctor
"""

import contextlib
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from unichar.errors import UserError
from unichar.pipeline.compatibility import check_compatible
from unichar.pipeline.lineage import current_inputs, stage_spec, why
from unichar.pipeline.staleness import scan_kits
from unichar.presets import get_preset
from unichar.stages import STAGES, Stage
from unichar.store.files import is_locked
from unichar.store.manifest import MANIFEST, BrokenOutput
from unichar.store.store import MissingOutput, Output, Store

# In seconds. No temporary file of a living run is expected to stay untouched for longer.
_DAY = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """One stage of one character.

    Example: `StageStatus(stage=STAGES[4], fingerprint="3f2a9c0d11aa22bb", age="2 h", state="stale:
    interactions changed")`
    """

    stage: Stage
    fingerprint: str
    """Empty when it was never made."""
    age: str
    state: str
    """`up to date`, or `stale`, `broken`, `never made`, `unknown`, with the reason."""


def characters(store: Store) -> list[str]:
    """The ids of all characters that have a kit or an output."""
    # Characters whose kit was deleted still have outputs.
    made = [folder.parent.name for stage in STAGES for folder in store.runs.glob(f"*/{stage.folder}")]
    return sorted({*scan_kits(store).versions, *made})


def stage_statuses(character: str, store: Store) -> list[StageStatus]:
    """The stages of a character: is each output what its own preset and seed would give today?"""
    return [_stage_status(stage, character, store) for stage in STAGES[1:]]


def _stage_status(stage: Stage, character: str, store: Store) -> StageStatus:
    try:
        # First whether there is a readable output at all.
        output = store.current(character, stage.noun)
    except MissingOutput:
        return StageStatus(stage=stage, fingerprint="", age="", state="never made")
    except BrokenOutput as error:
        return StageStatus(stage=stage, fingerprint="", age="", state=f"broken: {error}")

    try:
        # Passed on, since a stale input is reported for its own stage and not again for all that follow.
        inputs = current_inputs(stage, character, store)
        preset, seed = get_preset(output.manifest["preset"]), output.manifest["recipe"]["seed"]
        spec = stage_spec(stage, character, preset=preset, seed=seed, store=store, inputs=inputs)
        reason = why(spec, store)
        state = f"stale: {reason}" if reason else "up to date"
    except (UserError, OSError) as error:
        # As a preset that no longer exists; one row must not stop the table.
        state = f"unknown: {error}"
    return StageStatus(stage=stage, fingerprint=output.fingerprint, age=_age(output), state=state)


def status_table(store: Store, *, only: str = "") -> str:
    """The stages of all characters, or of one, as text.

    Raises:
        UserError: There is no character `only`.
    """
    known = characters(store)
    if only and only not in known:
        raise UserError(
            f"there is no character {only!r}, neither a kit nor an output; "
            f"there are {', '.join(known) or 'none yet: run `make data`'}"
        )

    lines = []
    for character in [only] if only else known:
        # A heading per character, then its stages.
        promoted = store.promoted(character)
        lines.append(f"{character}  (promoted: {promoted['grpo_checkpoint'] if promoted else 'none yet'})")
        for row in stage_statuses(character, store):
            age, key = row.age or "-", row.fingerprint or "-"
            lines.append(f"  {row.stage.noun:<16} {key:<16} {age:>5}  {row.state}")

    if not lines:
        return "no characters yet: run `make data`, or `python -m unichar onboard <folder>`"
    return "\n".join(lines)


def forecast(character: str, *, preset: str, seed: int, store: Store) -> list[tuple[Stage, str]]:
    """What `customize` would do at each stage, and why.

    A stage whose inputs would be made again cannot be predicted: if they come out as before, it does not run.

    Raises:
        MissingFile: There is no such kit or base model, so the run would fail.
        UserError: The preset cannot take this kit through all stages, or one of its judges is missing.
    """
    # Outputs that exist for today's recipes; only with all of its inputs among them can a stage be predicted.
    known: dict[str, Output] = {}
    predictions = []

    for stage in STAGES[1:]:
        check_compatible(stage, get_preset(preset), character, store)
        needs = [noun for noun in stage.needs if noun not in ("raw_kit", "validated_kit")]
        unknown = [noun for noun in needs if noun not in known]
        if unknown:
            predictions.append((stage, f"would run, unless {', '.join(unknown)} came out as before"))
            continue

        # Predicted with the outputs that today's recipes would find, not with the current ones.
        inputs = {noun: known[noun] for noun in needs}
        spec = stage_spec(stage, character, preset=get_preset(preset), seed=seed, store=store, inputs=inputs)
        found = store.find(character, stage.noun, spec.key)
        if found:
            known[stage.noun] = found
            predictions.append((stage, f"already there ({spec.key})"))
        else:
            predictions.append((stage, f"would run: {why(spec, store)}"))

    return predictions


def doctor(store: Store) -> tuple[list[Path], list[str]]:
    """Remove what killed runs left more than a day ago, and check every file of every output.

    Scratch folders stay, since a run may resume from them; those of versions that called them `.work-<key>`
    go.

    Returns:
        (removed, problems): paths, and one line for each output that is not what its manifest says.
    """
    removed, problems = [], []

    for path in _leftovers(store):
        # The name goes on with the fingerprint, by which the process that makes the output holds a lock.
        lock = path.with_name(f".lock-{path.name.split('-')[1]}")

        # Younger ones may belong to a run that is starting; locked ones belong to a living run, which may
        # rename or remove them meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _DAY and not is_locked(lock):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path)

    for character in characters(store):
        for stage in STAGES[1:]:
            problems += _problems(stage, character, store)
    return removed, problems


def _leftovers(store: Store) -> list[Path]:
    """Temporary files and folders, and the scratch folders of earlier versions."""
    # Of stages, of characters and of the whole store: every place where something is written by rename.
    found = []
    for pattern in ("*/*/.tmp-*", "*/*/.work-*", "*/.tmp-*", ".tmp-*"):
        found += sorted(store.runs.glob(pattern))
    return found + sorted(store.kits.glob(".tmp-*"))


def _problems(stage: Stage, character: str, store: Store) -> list[str]:
    """One line for each output of a stage that is broken, and for a pointer that leads nowhere."""
    folder = store.stage_folder(character, stage.noun)

    # Every output, not only the current one.
    problems = []
    outputs = [path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(outputs):
        if not (path / MANIFEST).exists():
            problems.append(f"{path} has no {MANIFEST}, so nothing reads it: delete it")
            continue
        try:
            output = store.find(character, stage.noun, path.name)
            assert output is not None

            # Every file is read again, since bit rot changes neither size nor time.
            store.verify(output, again=True)
        except (BrokenOutput, OSError) as error:
            problems.append(str(error))

    # The pointer can be wrong although every output is whole.
    if (folder / "CURRENT.json").exists():
        try:
            store.current(character, stage.noun)
        except (BrokenOutput, MissingOutput) as error:
            problems.append(str(error))
    return problems


def _age(output: Output) -> str:
    """How long ago it was made, as "3 h"."""
    made = datetime.strptime(output.manifest["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - made).total_seconds()

    # The largest unit that fits, rounded down.
    for name, size in (("d", _DAY), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {name}"
    return f"{seconds:.0f} s"
