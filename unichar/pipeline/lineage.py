"""What an output is made from: its current inputs, and the recipe whose fingerprint names the output. No
torch.

A recipe is `{"verb", "code_version", "config", "seed", "inputs": {noun: version}, "base_sha256"}`, and
`"load"` where the base is not loaded as it is. The verdict on a kit (`validated_kit`) is no part of later
recipes: it permits or stops a stage and changes nothing in its output.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unichar.errors import MissingFile, UserError
from unichar.kit.content import kit_files, kit_hash
from unichar.presets import Preset
from unichar.stages import STAGES, Stage, stage_of
from unichar.store.fingerprint import code_version, fingerprint
from unichar.store.store import MissingOutput, Output, Store
from unichar.types import LoadConfig


class StaleInput(UserError):
    """An input was made from something that is no longer the current one."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage of one character with everything it depends on."""

    stage: Stage
    character: str
    preset: Preset
    seed: int
    recipe: dict[str, Any]
    kit_hash: str
    base: Path
    """The base model; stages that do not load it ignore this path."""
    inputs: dict[str, Output]
    """Noun -> output that it reads; the user's kit is not among them."""

    @property
    def key(self) -> str:
        """Fingerprint of its output."""
        return fingerprint(self.recipe)


def stage_spec(
    stage: Stage,
    character: str,
    *,
    preset: Preset,
    seed: int,
    store: Store,
    inputs: dict[str, Output] | None = None,
) -> StageSpec:
    """The specification of one stage: its recipe and its inputs.

    Args:
        stage: A row of the stage table.
        character: Id of the character.
        preset: Resolved settings.
        seed: Of everything random in the stage.
        store: Where outputs lie.
        inputs: Noun -> output to read. By default the current outputs, which must then fit together.

    Raises:
        MissingFile: There is no such kit or base model.
        MissingOutput: An input was never made.
        StaleInput: An input, or something it was made from, must be made again first.
    """
    # Inputs that the caller passes are not checked: it wants to know whether they are stale.
    kit = hash_kit(character, store)
    if inputs is None:
        inputs = current_inputs(stage, character, store)
        check_lineage(stage, character, kit, store)

    # The verdict decides whether a stage runs, not what comes out of it.
    versions = {noun: output.version for noun, output in inputs.items() if noun != "validated_kit"}
    if "raw_kit" in stage.needs:
        versions["raw_kit"] = kit

    # The code version covers what the stage may run, and nothing else.
    base = store.base(preset.model)
    packages = stage.packages
    if stage.own_process:
        # Of the model families only the code of the one that runs counts.
        packages += (f"unichar.model.{preset.model}",)
    recipe = {
        "verb": stage.verb,
        "code_version": code_version(packages),
        "config": dataclasses.asdict(preset.config_of(stage)),
        "seed": seed,
        "inputs": versions,
        # Stages that load no model do not depend on its weights.
        "base_sha256": hash_base(base, store) if stage.own_process else "",
    }
    if stage.own_process and preset.load != LoadConfig():
        # Only then, so that the recipes of all other presets stay what they were.
        recipe["load"] = dataclasses.asdict(preset.load)

    return StageSpec(
        stage=stage,
        character=character,
        preset=preset,
        seed=seed,
        recipe=recipe,
        kit_hash=kit,
        base=base,
        inputs=inputs,
    )


def current_inputs(stage: Stage, character: str, store: Store) -> dict[str, Output]:
    """Noun -> current output, for everything that a stage reads except the user's kit.

    Raises:
        MissingOutput: One of them was never made.
        BrokenOutput: A manifest is not the published one.
    """
    return {noun: store.current(character, noun) for noun in stage.needs if noun != "raw_kit"}


def hash_kit(character: str, store: Store) -> str:
    """The content hash of a user's kit, which is the version of `raw_kit`.

    Raises:
        MissingFile: There is no such folder; the message says where it was looked for.
    """
    folder = store.kit(character)

    if not folder.is_dir():
        raise MissingFile(
            f"there is no kit for {character!r} in {store.kits / character} or {store.starters / character}: "
            "run `python -m unichar onboard <folder>`, or `make data` if it is a starter character"
        )
    return kit_hash(folder)


def hash_base(base: Path, store: Store) -> str:
    """sha256 of a base file; of a folder, the fingerprint of its files. Remembered, so that weights are read
    once.

    Raises:
        MissingFile: It does not exist; the message says how to get it.
    """
    if base.is_file():
        return store.hashes.sha256(base)
    if base.is_dir():
        # A folder is hashed under relative paths, so that moving it changes nothing. Hidden files are left
        # out, because a download from Hugging Face keeps its time in `.cache`; links count as their files.
        hashes = {path.relative_to(base).as_posix(): store.hashes.sha256(path) for path in kit_files(base)}
        return fingerprint(hashes)

    if base.suffix == ".safetensors":
        raise MissingFile(
            f"there is no base model in {base}: run `make data`, or train one with `python -m unichar base`"
        )
    raise MissingFile(f"there is no BAGEL-7B-MoT in {base}: download it and set UNICHAR_BAGEL to its folder")


def check_lineage(stage: Stage, character: str, kit: str, store: Store) -> None:
    """Refuse inputs that were made from something that is no longer current, back to the kit with the hash
    `kit`.

    Raises:
        StaleInput: The message names the first stage to run again.
    """
    nouns, versions = upstream(stage), {"raw_kit": kit}

    # In the order of the table, so that the message names the first stage to run again.
    for before in STAGES[1:]:
        if before.noun not in nouns:
            continue

        # Compare what this output was made from with what is current now.
        output = store.current(character, before.noun)
        versions[before.noun] = output.version
        for noun, version in output.manifest["recipe"]["inputs"].items():
            if versions[noun] != version:
                raise StaleInput(
                    f"the {before.noun} of {character} was made from another {noun} than the current one: "
                    f"run `python -m unichar {before.verb} --character {character}` first, "
                    "then the stages after it"
                )


def upstream(stage: Stage) -> set[str]:
    """The nouns of a stage's inputs and of everything they were made from, without the user's kit."""
    # Recursion over the stage table, which is a few rows deep.
    nouns: set[str] = set()
    for noun in stage.needs:
        if noun != "raw_kit":
            nouns |= {noun} | upstream(stage_of(noun))
    return nouns


def why(spec: StageSpec, store: Store) -> str:
    """Why a stage would run again, as "its code changed, seed 0 -> 4"; empty when its current output is up to
    date.
    """
    try:
        current = store.current(spec.character, spec.stage.noun)
    except MissingOutput:
        return "never made"

    # Equal fingerprints mean equal recipes.
    if current.fingerprint == spec.key:
        return ""

    # All reasons, not only the first: they belong into one decision to run again.
    old, new = current.manifest["recipe"], spec.recipe
    reasons = [f"{noun} changed" for noun in new["inputs"] if new["inputs"][noun] != old["inputs"].get(noun)]
    if old["code_version"] != new["code_version"]:
        reasons.append("its code changed")
    if old["base_sha256"] != new["base_sha256"]:
        reasons.append("another base model")
    if old["seed"] != new["seed"]:
        reasons.append(f"seed {old['seed']} -> {new['seed']}")

    # Settings by name, since "its settings changed" would not help.
    reasons += changes(old["config"], new["config"])
    reasons += changes(old.get("load", {}), new.get("load", {}), "load.")
    return ", ".join(reasons) or "its recipe changed"


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """The settings that differ, as `steps 100 -> 200`; nested ones by path, as `nft.beta 0.2 -> 0.5`."""
    changed = []
    for name in sorted(set(old) | set(new)):
        # A setting that only one version of the code knows appears as None on the other side.
        before, after = old.get(name), new.get(name)

        if isinstance(before, dict) and isinstance(after, dict):
            changed += changes(before, after, f"{prefix}{name}.")
        # The old value was read from JSON, the new one comes from a dataclass.
        elif _plain(before) != _plain(after):
            changed.append(f"{prefix}{name} {before} -> {after}")
    return changed


def _plain(value: Any) -> Any:
    """A settings value as it reads back from JSON, where a tuple becomes a list."""
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
