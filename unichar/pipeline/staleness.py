"""Which kits exist, and which characters would come out different today: what unattended runs need to know.

Used by the sensor and the schedule in `orchestration/`; knows nothing about Dagster. No torch. Not in the
paper.
"""

from dataclasses import dataclass
from pathlib import Path

from unichar.errors import UserError
from unichar.kit.content import kit_hash
from unichar.kit.schema import check_key
from unichar.pipeline.lineage import current_inputs, stage_spec, why
from unichar.presets import get_preset
from unichar.stages import STAGES
from unichar.store.manifest import BrokenOutput
from unichar.store.store import MissingOutput, Output, Store


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The folders of kits: the user's in `kits/`, the starter characters in `data/characters/`.

    Example: `Scan(versions={"mochi": "5f0c...dir"}, skipped={"New Folder": "'New Folder' cannot be an id:
    ..."})`
    """

    versions: dict[str, str]
    """Character -> content hash of its kit."""
    skipped: dict[str, str]
    """Folder name -> why it is not a kit."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a character's last report."""

    preset: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Staleness:
    """Whether a character would come out different today, and why or why not."""

    due: bool
    reason: str


def scan_kits(store: Store) -> Scan:
    """Hash every kit that the project would use; hidden folders are left out. Kits are not validated.

    A user's kit comes before a starter character with the same id, as in `Store.kit`.
    """
    versions, skipped = {}, {}
    for folder in _kit_folders(store):
        try:
            # One bad folder must not hide the others, so each has its own reason.
            check_key(folder.name)
            if not (folder / "kit.yaml").is_file():
                raise UserError(
                    f"it has no kit.yaml; a kit has one, see the starter characters in {store.starters}"
                )

            # A starter character that a user's kit replaces is not used.
            if folder == store.kit(folder.name):
                versions[folder.name] = kit_hash(folder)
        except UserError as error:
            skipped[folder.name] = str(error)
    return Scan(versions=versions, skipped=skipped)


def _kit_folders(store: Store) -> list[Path]:
    """The visible folders in `data/characters/` and `kits/`, sorted by name."""
    found = []
    for parent in (store.starters, store.kits):
        # Either folder may be missing, as in a fresh checkout.
        if parent.is_dir():
            found += [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: path.name)


def last_report(character: str, store: Store) -> Output | None:
    """The character's current report; None if it was never evaluated, or the report is damaged."""
    try:
        return store.current(character, "eval_report")
    except (MissingOutput, BrokenOutput):
        return None


def last_settings(character: str, store: Store) -> Settings | None:
    """The preset and seed of the character's report, which unattended runs keep; None without a report."""
    # The seed stands in the recipe, since it decides the output; the preset is only a name.
    report = last_report(character, store)
    if report is None:
        return None
    return Settings(preset=report.manifest["preset"], seed=report.manifest["recipe"]["seed"])


def staleness(character: str, store: Store) -> Staleness:
    """Whether any stage would run again with the settings of the last report, and why."""
    try:
        # Unattended runs repeat the last report's settings; they never choose any.
        settings = last_settings(character, store)
        if settings is None:
            return Staleness(
                due=False, reason="has no report yet, or a damaged one; customize it once by hand"
            )
        reason = _first_change(character, settings, store)
    # A character that cannot be compared must not stop the schedule for all others.
    except (UserError, OSError) as error:
        return Staleness(due=False, reason=str(error))

    return Staleness(due=bool(reason), reason=reason or "nothing changed since its last report")


def _first_change(character: str, settings: Settings, store: Store) -> str:
    """The first stage that would run again and why, as "sft_checkpoint: its code changed"; empty if there is
    none.
    """
    # The first is enough: later stages follow from it.
    preset = get_preset(settings.preset)
    for stage in STAGES[1:]:
        # Given, so that a stale input is the reason for a run and not an error.
        inputs = current_inputs(stage, character, store)
        spec = stage_spec(stage, character, preset=preset, seed=settings.seed, store=store, inputs=inputs)

        reason = why(spec, store)
        if reason:
            return f"{stage.noun}: {reason}"
    return ""
