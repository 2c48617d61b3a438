"""Questions about pictures. Toons are asked for every visible attribute; photographs for what their captions say, no more.

Test items are about held-out pictures only. Toon answers are one word and come with three other values of the same attribute.

Departs from the paper, whose visual questions exist on training pictures only.
"""

import random

from unichar.domains.base import PictureQuestion
from unichar.domains.lookup import domain_of
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.role_play import picture_group
from unichar.types import CuratedKit, Interaction, Picture, Segment


def visual_qa(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """Items of every picture in its split: several wordings in training, one in the test."""
    items, domain = [], domain_of(kit)
    for index, picture in enumerate(kit.pictures):
        wordings = config.num_visual_wordings if picture.split == "train" else 1
        asked = domain.questions(kit, picture, wordings=wordings, rng=rng)
        items += [_item(picture, index, question) for question in asked]
    return items


def _item(picture: Picture, index: int, asked: PictureQuestion) -> Interaction:
    form, question, answer, options = asked
    segments = (
        Segment(type="image", value=picture.image, role="user"),
        Segment(type="text", value=question, role="user"),
        Segment(type="text", value=answer, role="assistant", loss=True),
    )
    return Interaction(
        id="",
        kind="visual_qa",
        form=form,
        split=picture.split,
        group=picture_group(index),
        segments=segments,
        options=options if picture.split == "test" else (),
    )
