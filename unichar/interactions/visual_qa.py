"""Questions about pictures, as the character's domain asks them: visible attributes or what captions say.

Test samples are about held-out pictures only and come with options where the domain has enough wrong ones.

Departs from the paper, whose visual questions exist on training pictures only.
"""

from unichar.domains.base import PictureQuestion
from unichar.domains.lookup import domain_of
from unichar.interactions.context import Context
from unichar.interactions.role_play import picture_group
from unichar.types import Interaction, Picture, Segment


def visual_qa(context: Context) -> list[Interaction]:
    """Samples of every picture in its split: several wordings of a question in training, one in the test."""
    kit = context.kit
    domain = domain_of(kit)

    items = []
    for index, picture in enumerate(kit.pictures):
        # More wordings of one question in the test would count the same mistake several times.
        wordings = context.config.num_visual_wordings if picture.split == "train" else 1
        for asked in domain.questions(kit, picture, wordings=wordings, rng=context.rng):
            items.append(_item(picture, index, asked))
    return items


def _item(picture: Picture, index: int, asked: PictureQuestion) -> Interaction:
    # The picture stands before the question, as a user shows it and then asks.
    segments = (
        Segment(type="image", value=picture.image, role="user"),
        Segment(type="text", value=asked.question, role="user"),
        Segment(type="text", value=asked.answer, role="assistant", loss=True),
    )

    return Interaction(
        id="",
        kind="visual_qa",
        form=asked.form,
        split=picture.split,
        group=picture_group(index),
        segments=segments,
        # Training shows the right answer alone.
        options=asked.options if picture.split == "test" else (),
    )
