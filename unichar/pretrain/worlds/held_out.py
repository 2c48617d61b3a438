"""Pictures that no phase of the base may see, for measuring it: every held-out style, toons, photographs.

    held_out_pictures(art, "micah", 48, size=128)

`tools/draw_held_out.py` draws them into one file.
"""

import random

from PIL import Image, ImageOps

from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.figures import random_expression, random_figure
from unichar.pretrain.worlds.styles import HELD_OUT, load_styles
from unichar.pretrain.worlds.world import Drawn, draw_scene, random_scene


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
