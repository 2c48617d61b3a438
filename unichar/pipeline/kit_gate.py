"""The verdict on a user's kit: put on record, reused by the stage `validate`, required by every stage that
trains.

The record lies in `runs/<character>/0_raw_kit/<kit hash>/`: `validation.json` is the verdict,
`checked_by.json` says which code and settings it was reached with. No torch.
"""

import dataclasses
from pathlib import Path

from unichar.kit.schema import check_key
from unichar.kit.verdict import Verdict, gate, read_verdict
from unichar.pipeline.compatibility import check_compatible
from unichar.pipeline.lineage import hash_kit
from unichar.presets import get_preset
from unichar.stages import stage_of
from unichar.store.files import json_bytes, write_atomic
from unichar.store.fingerprint import code_version, fingerprint
from unichar.store.manifest import read_json
from unichar.store.store import Store


def check_kit(
    character: str, *, preset: str = "cpu", store: Store | None = None, verdict: Verdict | None = None
) -> Verdict:
    """Check a user's kit and record the verdict, good or bad.

    Args:
        character: Id of the character.
        preset: Named settings of the checks.
        store: Where kits and records lie; the one of the environment by default.
        verdict: The verdict on the kit as it is now, if it was just checked with the same settings.

    Raises:
        MissingFile: There is no such kit.
        UserError: The preset cannot take this kit through all stages.
    """
    # Imported here because Great Expectations takes seconds.
    from unichar.kit.validate import inspect

    # Before any path is built from it.
    check_key(character)
    store = store or Store.from_env()
    version = hash_kit(character, store)
    check_compatible(stage_of("validate"), get_preset(preset), character, store)

    # A verdict on another state of the kit says nothing about this one.
    if verdict is None or verdict.kit_hash != version:
        verdict = inspect(store.kit(character), get_preset(preset).kit)

    # Bad verdicts are recorded too: they need no second check either.
    path = _record(character, version, store)
    write_atomic(path, verdict.to_json().encode())
    write_atomic(path.with_name("checked_by.json"), json_bytes(_checker(preset)))
    return verdict


def recorded_verdict(character: str, *, kit_hash: str, preset: str, store: Store) -> Path | None:
    """The recorded verdict on this content of the kit by today's code and settings; None if there is none."""
    path = _record(character, kit_hash, store)

    # A verdict by other checks or limits is no evidence for today's.
    checked_by = path.with_name("checked_by.json")
    is_known = checked_by.exists() and read_json(checked_by) == _checker(preset)
    return path if is_known else None


def check_gate(character: str, store: Store) -> None:
    """Refuse to train on a kit that has not passed its checks in its present state, whatever has run since.

    Raises:
        KitRejected: The kit failed, or changed since it passed.
        MissingOutput: It was never checked.
        BrokenOutput: The verdict was changed.
    """
    # The files are verified first, because an edited verdict must not open the gate.
    validated = store.current(character, "validated_kit")
    store.verify(validated)
    verdict = read_verdict(validated.folder / "validation.json")

    gate(verdict, hash_kit(character, store), store.kit(character))


def _record(character: str, kit_hash: str, store: Store) -> Path:
    return store.stage_folder(character, "raw_kit") / kit_hash / "validation.json"


def _checker(preset: str) -> dict[str, str]:
    """What a verdict depends on besides the kit."""
    settings = dataclasses.asdict(get_preset(preset).kit)
    return {"code_version": code_version(stage_of("validate").packages), "config": fingerprint(settings)}
