"""Outputs for tests: a store in a temporary folder, and outputs in it without running a stage."""

from pathlib import Path
from typing import Any

from unichar.store.files import json_bytes
from unichar.store.fingerprint import fingerprint
from unichar.store.remote import Remote
from unichar.store.store import Output, Store


def make_store(folder: Path, remote: Remote | None = None) -> Store:
    """An empty store: `folder/runs` and `folder/data`."""
    return Store(folder, folder / "data", remote)


def make_output(
    store: Store,
    noun: str = "sft_checkpoint",
    *,
    character: str = "pip",
    files: dict[str, str] | None = None,
    seed: int = 0,
    inputs: dict[str, str] | None = None,
    force: bool = False,
) -> Output:
    """Publish `files` (path -> text) as an output made with `seed`; the same seed is the same fingerprint."""
    about = make_manifest(noun, character=character, seed=seed, inputs=inputs)
    with store.staging(character, noun, fingerprint(about["recipe"])) as staged:
        for name, text in {
            "config.json": "{}",
            **(files or {"adapters/weights.txt": f"weights {seed}"}),
        }.items():
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            (staged / name).write_text(text)
        (staged / "summary.json").write_bytes(json_bytes({"loss": 0.5}))
        return store.publish(staged, about, force=force)


def make_manifest(
    noun: str = "sft_checkpoint",
    *,
    character: str = "pip",
    seed: int = 0,
    inputs: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What a stage says about its output."""
    recipe = {
        "verb": "test",
        "code_version": "1",
        "config": {},
        "seed": seed,
        "inputs": inputs or {},
        "base_sha256": "",
    }
    about = {
        "character": character,
        "noun": noun,
        "preset": "smoke",
        "recipe": recipe,
        "kit_hash": "",
        "tools": {},
    }
    return about | {"inputs": dict.fromkeys(inputs or {}, "0" * 16)}
