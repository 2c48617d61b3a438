"""What an unattended line needs to know: which kits are there, and which characters would come out different today. No torch.

Used by the sensor and the schedule in `orchestration/`; knows nothing about Dagster. Not in the paper.
"""

from dataclasses import dataclass

from unichar.kit.content import kit_hash
from unichar.kit.schema import check_key
from unichar.pipeline.lineage import stage_spec, why
from unichar.presets import get_preset
from unichar.stages import STAGES
from unichar.store.manifest import BrokenOutput
from unichar.store.store import MissingOutput, Output, Store


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The folders under `data/characters/`.

    Example: `Scan(versions={"mochi": "5f0c...dir"}, skipped={"New Folder": "'New Folder' cannot be a character's id: ..."})`
    """

    versions: dict[str, str]
    """Character -> content hash of its kit."""
    skipped: dict[str, str]
    """Folder name -> why it is no kit."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a character was made with last."""

    preset: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Staleness:
    """Whether a character would come out different today, and why or why not."""

    due: bool
    reason: str


def scan_kits(store: Store) -> Scan:
    """Look at every folder under `data/characters/`; hidden ones are left out. Whether a kit is good enough is not asked."""
    versions, skipped = {}, {}
    place = store.data / "characters"
    for folder in sorted(place.iterdir()) if place.is_dir() else []:
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        try:
            check_key(folder.name)
            if not (folder / "kit.yaml").is_file():
                raise ValueError(f"it has no kit.yaml; a kit has one, see the starter characters in {place}")
            versions[folder.name] = kit_hash(folder)
        except ValueError as error:
            skipped[folder.name] = str(error)
    return Scan(versions=versions, skipped=skipped)


def last_report(character: str, store: Store) -> Output | None:
    """The character's current report; None when it was never evaluated, or when the report is damaged and must be made again."""
    try:
        return store.current(character, "eval_report")
    except (MissingOutput, BrokenOutput):
        return None


def last_settings(character: str, store: Store) -> Settings | None:
    """The preset and seed of the character's report, so that an unattended run does not change them."""
    report = last_report(character, store)
    return (
        Settings(preset=report.manifest["preset"], seed=report.manifest["recipe"]["seed"]) if report else None
    )


def staleness(character: str, store: Store) -> Staleness:
    """Compare what every stage was made from with what it would be made from now, with the settings of the last report."""
    try:
        settings = last_settings(character, store)
        if settings is None:
            return Staleness(
                due=False, reason="has no report yet, or a damaged one; customize it once by hand"
            )
        reason = _first_change(character, settings, store)
    except (ValueError, OSError) as error:
        return Staleness(due=False, reason=str(error))
    return Staleness(due=bool(reason), reason=reason or "nothing changed since its last report")


def _first_change(character: str, settings: Settings, store: Store) -> str:
    preset = get_preset(settings.preset)
    for stage in STAGES[1:]:
        inputs = {noun: store.current(character, noun) for noun in stage.needs if noun != "raw_kit"}
        plan = stage_spec(stage, character, preset=preset, seed=settings.seed, store=store, inputs=inputs)
        reason = why(plan, store)
        if reason:
            return f"{stage.noun}: {reason}"
    return ""
