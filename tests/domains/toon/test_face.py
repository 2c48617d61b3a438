"""Heads: each species, expression and accessory is drawn in its own way; closed eyes hide their colour."""

import dataclasses
from itertools import pairwise

from PIL import Image

from unichar.domains.toon.face import IRIS, head
from unichar.domains.toon.pen import Pen
from unichar.domains.toon.vocabulary import ACCESSORIES, EXPRESSIONS, EYES, SPECIES, Identity

CAT = Identity(species="cat", color="teal", eyes="green", outfit="red", pattern="plain", accessory="nothing")


def drawn(identity: Identity = CAT, expression: str = "smiling") -> bytes:
    image = Image.new("RGB", (96, 96), (255, 255, 255))
    head(Pen(image), identity, (62, 170, 170), (62, 170, 170), expression)
    return image.tobytes()


def test_no_two_species_expressions_or_accessories_look_alike() -> None:
    species = [drawn(dataclasses.replace(CAT, species=name)) for name in SPECIES]
    accessories = [drawn(dataclasses.replace(CAT, accessory=name)) for name in ACCESSORIES]
    expressions = [drawn(expression=name) for name in EXPRESSIONS]
    for pictures in (species, accessories, expressions):
        assert len(set(pictures)) == len(pictures)


def test_eyes_have_the_colour_of_the_identity_while_they_are_open() -> None:
    assert set(IRIS) == set(EYES)
    for expression, is_open in (("smiling", True), ("winking", True), ("sleepy", False), ("laughing", False)):
        pictures = [drawn(dataclasses.replace(CAT, eyes=eyes), expression) for eyes in EYES]
        assert all((first != second) == is_open for first, second in pairwise(pictures)), expression
