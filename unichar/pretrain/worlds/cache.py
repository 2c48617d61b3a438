"""Pictures drawn in advance: training reads them faster than they can be drawn.

    build_shard(folder, art, "drawn", 0)          # tools/draw_worlds.py builds them all
    PictureCache(folder, "drawn", shards=1).picture(0)

A cache has two kinds of pictures: `drawn` (figures and things, with facts) and `extras` (clip art and
photographs, for the VAE). Toons are drawn fast enough without. A shard holds `SHARD` pictures, uint8
[SHARD, size, size, 3], and a line of facts for each; it follows from its kind and number alone, and is
written whole or not at all, so a build that was stopped goes on where it was.
"""

import json
import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from unichar.errors import MissingFile
from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.scenery import wall
from unichar.pretrain.worlds.world import Drawn, sample
from unichar.store.files import replacing, write_atomic

KINDS = ("drawn", "extras")
SHARD = 512
"""Pictures per shard."""
_PHOTOGRAPHS = 0.5
"""Share of photographs among the extras; the rest is clip art."""


class PictureCache:
    """The pictures of one kind in a folder."""

    def __init__(self, folder: Path, kind: str, shards: int) -> None:
        """Use the first `shards` shards.

        Raises:
            MissingFile: Fewer are there.
        """
        assert kind in KINDS, kind
        self.folder, self.kind, self.shards = folder, kind, shards
        for index in range(shards):
            if not _pictures(folder, kind, index).exists():
                raise MissingFile(
                    f"shard {index} of {kind} is missing in {folder}, {shards} are needed: "
                    "draw them with python tools/draw_worlds.py"
                )

    def __len__(self) -> int:
        return self.shards * SHARD

    def picture(self, index: int) -> np.ndarray:
        """uint8 [size, size, 3]."""
        return np.asarray(_open(_pictures(self.folder, self.kind, index // SHARD))[index % SHARD])

    def facts(self, index: int) -> dict[str, Any]:
        """What picture `index` shows."""
        lines = _lines(_facts(self.folder, self.kind, index // SHARD))
        return dict(json.loads(lines[index % SHARD]))


def build_shard(folder: Path, art: Art, kind: str, index: int, *, size: int = 128) -> bool:
    """Draw a shard unless it is there; returns whether it was drawn."""
    target = _pictures(folder, kind, index)
    if target.exists():
        return False

    rng = random.Random(f"{kind}/{index}")
    pictures = np.empty((SHARD, size, size, 3), np.uint8)
    lines = []
    for row in range(SHARD):
        drawn = _draw(art, kind, rng, size)
        pictures[row] = np.asarray(drawn.image)
        lines.append(json.dumps(drawn.facts, sort_keys=True))

    # The pictures come last: a shard counts as there once they are.
    write_atomic(_facts(folder, kind, index), ("\n".join(lines) + "\n").encode())
    with replacing(target) as file:
        np.save(file, pictures)
    return True


def _draw(art: Art, kind: str, rng: random.Random, size: int) -> Drawn:
    if kind == "drawn":
        return sample(art, rng, size)
    if rng.random() < _PHOTOGRAPHS:
        return Drawn(image=art.photograph(rng, size), facts={"subject": "photograph"})
    picture, _ = wall(rng, size)
    clip = art.clip(rng, size)
    picture.paste(clip, ((size - clip.width) // 2, (size - clip.height) // 2), clip)
    return Drawn(image=picture, facts={"subject": "clip art"})


def _pictures(folder: Path, kind: str, index: int) -> Path:
    return folder / f"{kind}-{index:04d}.npy"


def _facts(folder: Path, kind: str, index: int) -> Path:
    return folder / f"{kind}-{index:04d}.jsonl"


@lru_cache(maxsize=512)
def _open(path: Path) -> np.ndarray:
    """A shard, mapped into memory instead of read."""
    mapped: np.ndarray = np.load(path, mmap_mode="r")
    return mapped


@lru_cache(maxsize=512)
def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()
