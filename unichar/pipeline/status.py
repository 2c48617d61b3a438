"""What is there, what would run and why, and what is broken. Changes nothing, but for `doctor`, which clears away leftovers.

python -m unichar status
python -m unichar customize --character mochi --preset cpu --dry-run
python -m unichar doctor
"""

import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from unichar.pipeline.lineage import stage_spec, why
from unichar.pipeline.staleness import scan_kits
from unichar.presets import get_preset
from unichar.stages import STAGES, Stage
from unichar.store.files import is_locked
from unichar.store.manifest import MANIFEST, BrokenOutput
from unichar.store.store import MissingOutput, Output, Store

_DAY = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stage of one character.

    Example: `Row(stage=STAGES[4], fingerprint="3f2a9c0d11aa22bb", age="2 h", state="stale: interactions changed")`
    """

    stage: Stage
    fingerprint: str
    """Empty when it was never made."""
    age: str
    state: str
    """`up to date`, or `stale`, `broken`, `never made`, `unknown`, with the reason."""


def characters(store: Store) -> list[str]:
    """Everybody who has a kit or an output."""
    made = [folder.parent.name for stage in STAGES for folder in store.runs.glob(f"*/{stage.folder}")]
    return sorted({*scan_kits(store).versions, *made})


def rows(character: str, store: Store) -> list[Row]:
    """The stages of a character: is each output what its own preset and seed would give today?"""
    return [_row(stage, character, store) for stage in STAGES[1:]]


def _row(stage: Stage, character: str, store: Store) -> Row:
    try:
        output = store.current(character, stage.noun)
    except MissingOutput:
        return Row(stage=stage, fingerprint="", age="", state="never made")
    except BrokenOutput as error:
        return Row(stage=stage, fingerprint="", age="", state=f"broken: {error}")
    try:
        inputs = {noun: store.current(character, noun) for noun in stage.needs if noun != "raw_kit"}
        preset, seed = get_preset(output.manifest["preset"]), output.manifest["recipe"]["seed"]
        reason = why(
            stage_spec(stage, character, preset=preset, seed=seed, store=store, inputs=inputs), store
        )
        state = f"stale: {reason}" if reason else "up to date"
    except (ValueError, OSError) as error:
        state = f"unknown: {error}"
    return Row(stage=stage, fingerprint=output.fingerprint, age=_age(output), state=state)


def status_table(store: Store, *, only: str = "") -> str:
    """The rows of all characters, or of one, as text."""
    lines = []
    for character in [only] if only else characters(store):
        promoted = store.promoted(character)
        lines.append(f"{character}  (champion: {promoted['grpo_checkpoint'] if promoted else 'none yet'})")
        for row in rows(character, store):
            lines.append(
                f"  {row.stage.noun:<16} {row.fingerprint or '-':<16} {row.age or '-':>5}  {row.state}"
            )
    return (
        "\n".join(lines)
        or f"no characters yet: put a kit into {store.data / 'characters'}, or run `python -m unichar onboard`"
    )


def forecast(character: str, *, preset: str, seed: int, store: Store) -> list[tuple[Stage, str]]:
    """What `customize` would do at each stage, and why.

    A stage whose inputs would be made anew cannot be foretold: they may come out as they were, and then nothing follows.

    Raises:
        FileNotFoundError: There is no such kit or base model, so the run would fail.
    """
    known: dict[str, Output] = {}
    told = []
    for stage in STAGES[1:]:
        needs = [noun for noun in stage.needs if noun not in ("raw_kit", "validated_kit")]
        unknown = [noun for noun in needs if noun not in known]
        if unknown:
            told.append((stage, f"would run, unless {', '.join(unknown)} came out as before"))
            continue
        inputs = {noun: known[noun] for noun in needs}
        plan = stage_spec(stage, character, preset=get_preset(preset), seed=seed, store=store, inputs=inputs)
        found = store.find(character, stage.noun, plan.key)
        if found:
            known[stage.noun] = found
        told.append((stage, f"already there ({plan.key})" if found else f"would run: {why(plan, store)}"))
    return told


def doctor(store: Store) -> tuple[list[Path], list[str]]:
    """Remove what killed runs left more than a day ago, and read every output again.

    Returns:
        (removed, problems): paths, and one line for each output that is not what its manifest says.
    """
    removed, problems = [], []
    for path in (
        sorted(store.runs.glob("*/*/.tmp-*"))
        + sorted(store.runs.glob("*/.tmp-*"))
        + sorted(store.runs.glob(".tmp-*"))
    ):
        if time.time() - path.stat().st_mtime > _DAY and not is_locked(
            path.with_name(f".lock-{path.name.split('-')[1]}")
        ):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            removed.append(path)
    for character in characters(store):
        for stage in STAGES[1:]:
            problems += _problems(stage, character, store)
    return removed, problems


def _problems(stage: Stage, character: str, store: Store) -> list[str]:
    folder, problems = store.stage_folder(character, stage.noun), []
    outputs = [path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(outputs):
        if not (path / MANIFEST).exists():
            problems.append(f"{path} has no {MANIFEST}, so nobody reads it: delete it")
            continue
        try:
            output = store.find(character, stage.noun, path.name)
            assert output is not None
            store.verify(output, again=True)
        except (BrokenOutput, OSError) as error:
            problems.append(str(error))
    if (folder / "CURRENT.json").exists():
        try:
            store.current(character, stage.noun)
        except (BrokenOutput, MissingOutput) as error:
            problems.append(str(error))
    return problems


def _age(output: Output) -> str:
    made = datetime.strptime(output.manifest["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - made).total_seconds()
    for name, size in (("d", _DAY), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {name}"
    return f"{seconds:.0f} s"
