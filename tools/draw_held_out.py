"""Draws held-out pictures into one file, for the curves of the VAE.

    python tools/draw_held_out.py runs/base/art runs/base/held-out.npz --photographs FOLDER...

Photographs are whatever folders are named; the repository ships none.
"""

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image

from unichar.pretrain.toons import sample_toon
from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.held_out import held_out_pictures, square
from unichar.pretrain.worlds.styles import HELD_OUT
from unichar.store.files import replacing

COUNT = 48
"""Pictures per style."""


def main() -> None:
    """Draw the held-out pictures into one file: name -> uint8 [count, size, size, 3]."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("art", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photographs", type=Path, nargs="*", default=[], help="a folder for each subject")
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()

    art, size = Art(options.art), options.size
    groups = {}
    for style in HELD_OUT:
        groups[style] = [drawn.image for drawn in held_out_pictures(art, style, COUNT, size)]
    rng = random.Random("held-out/toons")
    groups["toons"] = [sample_toon(rng, size).image.convert("RGB") for _ in range(COUNT)]
    for folder in options.photographs:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".webp"))
        groups[folder.name.lower().replace(" ", "-")] = [square(Image.open(path), size) for path in files]

    arrays = {name: np.stack([np.asarray(image) for image in images]) for name, images in groups.items()}
    with replacing(options.out) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    print({name: len(array) for name, array in arrays.items()})


if __name__ == "__main__":
    main()
