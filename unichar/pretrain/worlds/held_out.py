"""Pictures that no phase of the base may see, for measuring it: every held-out style, toons, photographs.

    python -m unichar.pretrain.worlds.held_out runs/base/art runs/base/held-out.npz --photographs FOLDER...

Photographs are whatever folders are named; the repository ships none.
"""

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from unichar.pretrain.toons import sample_toon
from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.figures import random_expression, random_figure
from unichar.pretrain.worlds.styles import HELD_OUT, load_styles
from unichar.pretrain.worlds.world import Drawn, draw_scene, random_scene
from unichar.store.files import replacing

COUNT = 48
"""Pictures per style."""


def held_out_pictures(art: Art, style: str, count: int, size: int, *, seed: int = 0) -> list[Drawn]:
    """`count` pictures of a held-out style: new figures, expressions and scenes."""
    assert style in HELD_OUT, style
    rng = random.Random(f"held-out/{style}/{seed}")
    words = load_styles()[style]

    found = []
    for _ in range(count):
        figure, face = random_figure(words, rng), random_expression(words, rng)
        found.append(draw_scene(figure, face, random_scene(rng, art), rng, size, art))
    return found


def square(image: Image.Image, size: int) -> Image.Image:
    """RGB picture [size, size]: the largest square, a little above the middle, where faces are."""
    return ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.LANCZOS, centering=(0.5, 0.25))


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
