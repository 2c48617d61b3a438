"""Draws the pictures that a base is trained on: python tools/draw_worlds.py runs/base/art runs/base/pictures

What is there is left alone, so it goes on where it was stopped. Half an hour on a free core, and 4 GB.
"""

import argparse
import time
from pathlib import Path

from unichar.pretrain.expert import ExpertPhase
from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.batches import Mix
from unichar.pretrain.worlds.cache import KINDS, SHARD, build_shard

SHARDS = (ExpertPhase().drawn_shards, Mix().extra_shards)
"""What a full run needs: drawn pictures, and extras."""


def main() -> None:
    """Draw shards; several processes may share the work by `--part`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("art", type=Path, help="folder that tools/fetch_art.py filled")
    parser.add_argument("folder", type=Path, help="where the shards go")
    parser.add_argument("--shards", type=int, nargs=2, default=SHARDS, metavar=("DRAWN", "EXTRAS"))
    parser.add_argument("--part", default="0/1", help="i/n: every n-th shard, from the i-th")
    options = parser.parse_args()

    art = Art(options.art)
    options.folder.mkdir(parents=True, exist_ok=True)
    part, parts = (int(number) for number in options.part.split("/"))

    # Kinds in turns, so that a training can start before all are there.
    wanted = []
    for kind, count in zip(KINDS, options.shards, strict=True):
        wanted += [(index / count, kind, index) for index in range(count)]
    for position, (_, kind, index) in enumerate(sorted(wanted)):
        began = time.monotonic()
        if position % parts == part and build_shard(options.folder, art, kind, index):
            print(f"{kind} {index}: {SHARD / (time.monotonic() - began):.1f} pictures/s", flush=True)


if __name__ == "__main__":
    main()
