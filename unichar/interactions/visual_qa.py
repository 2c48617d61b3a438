"""Questions about pictures. Toons are asked for every visible attribute; photographs for what their captions say, no more.

Test items are about held-out pictures only. Toon answers are one word and come with three other values of the same attribute.

Departs from the paper, whose visual questions exist on training pictures only.
"""

import random

from unichar.domains.toon.captions import questions, random_name
from unichar.domains.toon.vocabulary import ATTRIBUTES, IDENTITY, Identity
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.role_play import picture_group
from unichar.interactions.text_to_image import scene_of
from unichar.types import CuratedKit, Interaction, Picture, Segment

_WHO = (
    "Who is this?",
    "Which character do you see?",
    "What is the name of this character?",
    "Can you tell me who this is?",
)
_HAPPENS = (
    "What is happening here?",
    "Describe the picture.",
    "What does the picture show?",
    "What can you see here?",
)
_SHOWS = "Does this describe the picture? {}"
_NUM_OPTIONS = 4

Asked = tuple[str, str, str, tuple[str, ...]]
"""form (an attribute, `name`, `caption` or `match`), question, answer, options"""


def visual_qa(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """Items of every picture in its split: several wordings in training, one in the test."""
    items = []
    for index, picture in enumerate(kit.pictures):
        wordings = config.num_visual_wordings if picture.split == "train" else 1
        ask = _ask_toon if "species" in picture.attributes else _ask_photo
        items += [_item(picture, index, asked) for asked in ask(kit, picture, wordings, rng)]
    return items


def _ask_toon(kit: CuratedKit, picture: Picture, wordings: int, rng: random.Random) -> list[Asked]:
    identity = Identity(**{name: value for name, value in picture.attributes.items() if name in IDENTITY})
    found: dict[str, Asked] = {}
    for question in rng.sample(_WHO, min(wordings, len(_WHO))):
        others = {kit.name: None}
        while len(others) < _NUM_OPTIONS:
            others[random_name(rng)] = None
        found[question] = ("name", question, kit.name, tuple(others))
    for _ in range(wordings):
        for name, question, answer in questions(identity, scene_of(picture), rng):
            others_of = [value for value in ATTRIBUTES[name] if value != answer]
            found.setdefault(
                question, (name, question, answer, (answer, *rng.sample(others_of, _NUM_OPTIONS - 1)))
            )
    return list(found.values())


def _ask_photo(kit: CuratedKit, picture: Picture, wordings: int, rng: random.Random) -> list[Asked]:
    others = list(dict.fromkeys(p.caption for p in kit.split("train") if p.caption != picture.caption))
    found: list[Asked] = [
        ("name", question, kit.name, ()) for question in rng.sample(_WHO, min(wordings, len(_WHO)))
    ]
    options = (
        (picture.caption, *rng.sample(others, _NUM_OPTIONS - 1)) if len(others) >= _NUM_OPTIONS - 1 else ()
    )
    for question in rng.sample(_HAPPENS, min(wordings, len(_HAPPENS))):
        found.append(("caption", question, picture.caption, options))
    found.append(("match", _SHOWS.format(picture.caption), "Yes", ()))
    if others:
        found.append(("match", _SHOWS.format(rng.choice(others)), "No", ()))
    return found


def _item(picture: Picture, index: int, asked: Asked) -> Interaction:
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
