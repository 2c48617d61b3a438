"""Consistency: the picture that a reply and its plan describe scores, another does not."""

import pytest
import torch
from factories_interactions import make_curated_kit, nia_the_photographer
from factories_model import BASE, make_album

from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.alignment import AttributeAlignment
from unichar.judges.consistency import Consistency
from unichar.judges.encoders import ToonEncoder
from unichar.model.pixels import to_pixels
from unichar.types import Prompt


class Lamp:
    """A `TextJudge` who tells light from dark."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def score(self, pixels, texts):
        self.texts += texts
        light = pixels.flatten(1).mean(dim=1) / 2 + 0.5
        return torch.stack(
            [level if "sunny" in text else 1 - level for level, text in zip(light, texts, strict=True)]
        )


def test_a_toon_shows_the_scene_it_planned_and_not_another(tmp_path):
    album, kit = make_album(8, seed=5), make_curated_kit(tmp_path)
    judge = Consistency(AttributeAlignment(ToonEncoder(BASE), soft=True), kit, ())
    scenes = [{name: getattr(scene, name) for name in SCENE} for scene in album.scenes]
    said = [Prompt(text="", attributes=scene, reply="Hmph.") for scene in scenes]
    right, wrong = (judge.score(to_pixels(album.images), prompts) for prompts in (said, said[1:] + said[:1]))
    assert right.mean() > 0.9 and wrong.mean() < 0.5 and ((right >= 0) & (right <= 1)).all()
    quiet = [Prompt(text="", attributes=scene) for scene in scenes]
    mixed = judge.score(to_pixels(album.images), quiet[:4] + said[4:])
    assert mixed.tolist() == [0.0] * 4 + right[4:].tolist()
    assert judge.score(to_pixels(album.images), quiet).tolist() == [0.0] * 8


@pytest.fixture
def nia(tmp_path):
    return make_curated_kit(tmp_path, **nia_the_photographer())


def test_photographs_are_compared_with_what_is_said_by_those_who_read(nia):
    lamp, attributes = Lamp(), AttributeAlignment(ToonEncoder(BASE), soft=True)
    pixels = torch.cat([torch.full((1, 3, 8, 8), level) for level in (0.8, -0.8, 0.8)])
    sunny, dark = (Prompt(text="", reply=f"It is {word} where Nia stands.") for word in ("sunny", "dark"))
    found = Consistency(attributes, nia, [lamp]).score(pixels, [sunny, dark, Prompt(text="Nia on a train.")])
    assert found.tolist() == pytest.approx([0.9, 0.9, 0.0])
    assert lamp.texts == ["It is sunny where the person stands.", "It is dark where the person stands."]
    assert Consistency(attributes, nia, [lamp]).score(pixels[:2], [dark, sunny]).tolist() == pytest.approx(
        [0.1, 0.1]
    )


def test_photographs_get_nothing_where_nobody_reads(nia):
    judge = Consistency(AttributeAlignment(ToonEncoder(BASE), soft=True), nia, ())
    assert judge.score(torch.zeros(2, 3, 8, 8), [Prompt(text="", reply="It is dark.")] * 2).tolist() == [
        0.0,
        0.0,
    ]
