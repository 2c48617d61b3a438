"""What an output is made from: its inputs as they are now, and the recipe whose fingerprint names the output. No torch.

A recipe is `{"verb", "code_version", "config", "seed", "inputs": {noun: version}, "base_sha256"}`. The verdict on a kit
(`validated_kit`) is no part of later recipes: it lets a stage pass or stops it, and changes nothing in what comes out.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unichar.kit.content import kit_hash
from unichar.presets import Preset
from unichar.stages import STAGES, Stage, stage_of
from unichar.store.files import list_files
from unichar.store.fingerprint import code_version, fingerprint
from unichar.store.store import MissingOutput, Output, Store


class StaleInput(ValueError):
    """An input was made from something that is no longer the current one."""


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
    """Not looked at by stages that do not load the model."""
    inputs: dict[str, Output]
    """The outputs it reads; the user's kit is not among them."""

    @property
    def key(self) -> str:
        """Fingerprint of what comes out."""
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
    """The plan of one stage, reading `inputs`, or the current outputs when they are not given.

    Raises:
        FileNotFoundError: There is no such kit or base model.
        MissingOutput: An input was never made.
        StaleInput: An input, or something it was made from, must be made again first.
    """
    kit = hash_kit(character, store)
    if inputs is None:
        inputs = {noun: store.current(character, noun) for noun in stage.needs if noun != "raw_kit"}
        check_lineage(stage, character, kit, store)
    versions = {noun: output.version for noun, output in inputs.items() if noun != "validated_kit"}
    if "raw_kit" in stage.needs:
        versions["raw_kit"] = kit
    base = store.base(preset.model)
    recipe = {
        "verb": stage.verb,
        "code_version": code_version(
            stage.packages + ((f"unichar.model.{preset.model}",) if stage.own_process else ())
        ),
        "config": dataclasses.asdict(preset.config_of(stage)),
        "seed": seed,
        "inputs": versions,
        "base_sha256": hash_base(base, store) if stage.own_process else "",
    }
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


def hash_kit(character: str, store: Store) -> str:
    """The content hash of a user's kit, which is the version of `raw_kit`.

    Raises:
        FileNotFoundError: There is no such folder; the message says where it was looked for.
    """
    folder = store.kit(character)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no kit for {character!r} in {folder}: put it there, run `python -m unichar onboard <folder>`, "
            "or `dvc pull` if it is versioned"
        )
    return kit_hash(folder)


def hash_base(base: Path, store: Store) -> str:
    """sha256 of a base file; of a folder, the fingerprint of its files. Remembered, so weights are read once.

    Raises:
        FileNotFoundError: It is not there; the message says how to get it.
    """
    if base.is_file():
        return store.hashes.sha256(base)
    if base.is_dir():
        return fingerprint({p.relative_to(base).as_posix(): store.hashes.sha256(p) for p in list_files(base)})
    if base.suffix == ".safetensors":
        raise FileNotFoundError(
            f"there is no base model in {base}: run `dvc pull`, or train one with `python -m unichar base`"
        )
    raise FileNotFoundError(
        f"there is no BAGEL-7B-MoT in {base}: download it and set UNICHAR_BAGEL to its folder"
    )


def check_lineage(stage: Stage, character: str, kit: str, store: Store) -> None:
    """Refuse inputs that were made from something that is no longer current, back to the kit of hash `kit`.

    Raises:
        StaleInput: The message names the first stage to run again.
    """
    nouns, versions = upstream(stage), {"raw_kit": kit}
    for before in STAGES[1:]:
        if before.noun not in nouns:
            continue
        output = store.current(character, before.noun)
        versions[before.noun] = output.version
        for noun, version in output.manifest["recipe"]["inputs"].items():
            if versions[noun] != version:
                raise StaleInput(
                    f"the {before.noun} of {character} was made from another {noun} than the current one: "
                    f"run `python -m unichar {before.verb} --character {character}` first, then the stages after it"
                )


def upstream(stage: Stage) -> set[str]:
    """The nouns of everything a stage's inputs go back to, themselves included, without the user's kit."""
    nouns: set[str] = set()
    for noun in stage.needs:
        if noun != "raw_kit":
            nouns |= {noun} | upstream(stage_of(noun))
    return nouns


def why(plan: StageSpec, store: Store) -> str:
    """In words, why a stage would make its output anew; empty when what it would make is the current one."""
    try:
        current = store.current(plan.character, plan.stage.noun)
    except MissingOutput:
        return "never made"
    if current.fingerprint == plan.key:
        return ""
    old = current.manifest["recipe"]
    reasons = [
        f"{noun} changed"
        for noun in plan.recipe["inputs"]
        if plan.recipe["inputs"][noun] != old["inputs"].get(noun)
    ]
    if old["code_version"] != plan.recipe["code_version"]:
        reasons.append("its code changed")
    if old["base_sha256"] != plan.recipe["base_sha256"]:
        reasons.append("another base model")
    if old["seed"] != plan.seed:
        reasons.append(f"seed {old['seed']} -> {plan.seed}")
    return ", ".join(reasons + changes(old["config"], plan.recipe["config"])) or "its recipe changed"


def changes(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """The settings that differ, as `steps 100 -> 200`; nested ones by their path, as `nft.beta 0.2 -> 0.5`."""
    lines = []
    for name in sorted(set(old) | set(new)):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += changes(before, after, f"{prefix}{name}.")
        elif _plain(before) != _plain(after):
            lines.append(f"{prefix}{name} {before} -> {after}")
    return lines


def _plain(value: Any) -> Any:
    """A settings value as it reads back from JSON, where a tuple is a list."""
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
