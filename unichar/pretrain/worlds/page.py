"""A page of unseen captions of every style: a reserved identity as its designer drew it, and by the model.

page, captions = drawn_page(model, art)         # tools/draw_page.py, also while the expert trains
"""

import random

from PIL import Image

from unichar.model.nano.model import NanoModel
from unichar.model.pixels import to_images
from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.captions import caption
from unichar.pretrain.worlds.figures import random_expression, random_figure
from unichar.pretrain.worlds.styles import training_styles
from unichar.pretrain.worlds.world import Drawn, draw_scene, random_scene

SEED = 30_000
"""Of the page; no phase uses it."""
COLUMNS = 11
_GENERATED = 2
"""Pictures that the model draws for each caption."""


def unseen_pictures(art: Art, size: int) -> list[Drawn]:
    """One picture of a reserved identity in every style of the base that has one."""
    rng = random.Random(SEED)
    found = []
    for style in training_styles().values():
        try:
            figure = random_figure(style, rng, reserved=True)
        except ValueError:
            continue
        scene = random_scene(rng, art)
        found.append(draw_scene(figure, random_expression(style, rng), scene, rng, size, art))
    return found


def drawn_page(model: NanoModel, art: Art) -> tuple[Image.Image, list[str]]:
    """(page, captions): blocks of rows, the designer's picture above, the model's below."""
    drawn, rng = unseen_pictures(art, model.image_size), random.Random(SEED)
    captions = [caption(picture.facts, rng) for picture in drawn]
    seeds = list(range(_GENERATED)) * len(captions)
    latents = model.sample_latents(model.prompt_context(captions), seeds, steps=16, guidance=2.0, shift=2.0)
    generated = to_images(model.decode_latents(latents))

    cell, rows = model.image_size + 4, _GENERATED + 1
    blocks = -(-len(drawn) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * cell, blocks * rows * cell), "white")
    for index, picture in enumerate(drawn):
        left, top = index % COLUMNS * cell, index // COLUMNS * rows * cell
        for row, image in enumerate([picture.image, *generated[_GENERATED * index :][:_GENERATED]]):
            page.paste(image, (left + 2, top + row * cell + 2))
    return page, captions
