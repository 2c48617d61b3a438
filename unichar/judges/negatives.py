"""Strangers: a fixed set of pictures of anybody else, the zero point of a likeness."""

import random

from torch import Tensor

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import random_identity, random_scene
from unichar.model.pixels import to_pixels


def strangers(size: int, count: int = 24) -> Tensor:
    """[count, 3, size, size] toons of random identities, the same at every call."""
    rng = random.Random(0)
    return to_pixels([draw(random_identity(rng), random_scene(rng), size=size, seed=i) for i in range(count)])
