"""Large files are read for their checksum once, however many stages, arms and commands need it."""

import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_config import replaced
from factories_kit import make_kit, pip_scenes
from factories_model import BASE, TINY

from unichar import presets
from unichar.kit.config import KitConfig
from unichar.model.load import base_digest
from unichar.pipeline.run import customize
from unichar.release.merge import merge
from unichar.serving.talk import talk
from unichar.store.store import Store


def tiny_bagel() -> presets.Preset:
    """The preset `bagel` on a model that draws 64 pixels, promoted whatever its report says."""
    return dataclasses.replace(
        presets.bagel(),
        kit=KitConfig(size=64, min_side=16),
        sft=replaced(TINY["sft"], steps=1, tracker=""),
        grpo=replaced(TINY["grpo"], rounds=1, epochs=1, tracker=""),
        evaluation=replaced(TINY["evaluate"], prompts=1, text_items=1),
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A kit of photographs, and a tiny BAGEL as base."""
    scenes = [{name: value for name, value in row.items() if name != "attributes"} for row in pip_scenes()]
    make_kit(tmp_path / "data" / "characters", "pip", scenes=scenes)
    monkeypatch.setenv("UNICHAR_BAGEL", str(make_bagel(tmp_path / "bagel")))
    monkeypatch.setenv("UNICHAR_JUDGES", str(BASE))
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path))
    monkeypatch.setenv("UNICHAR_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(presets.PRESETS, "bagel", tiny_bagel)
    monkeypatch.chdir(tmp_path)
    return Store.from_env()


def test_a_base_is_read_once_from_the_kit_to_the_chat(store, tmp_path, monkeypatch, capsys):
    bagel, read, digest = tmp_path / "bagel", Counter(), hashlib.file_digest

    def counted(file, *arguments):
        read[Path(file.name)] += Path(file.name).stat().st_size
        return digest(file, *arguments)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    customize("pip", preset="bagel", store=store)
    merge("pip", tmp_path / "merged", which="last")
    talk("pip", "Hello", which="last")

    # Bytes read for checksums: every file of the base once.
    sizes = {path: path.stat().st_size for path in bagel.iterdir()}
    assert {path: size for path, size in read.items() if path.is_relative_to(bagel)} == sizes

    # Adapters too, after they were read under another name to be published.
    adapters = {path: size for path, size in read.items() if path.name == "adapter_model.safetensors"}
    published = {path: size for path, size in adapters.items() if path.exists()}
    assert published and all(size == path.stat().st_size for path, size in published.items())

    # A changed base is another one, for which the character has to be trained again.
    before = base_digest(bagel, store.hashes)
    make_bagel(bagel, values=lambda name, shape: torch.ones(shape))
    assert base_digest(bagel, store.hashes) != before
