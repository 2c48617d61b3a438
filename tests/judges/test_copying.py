"""Copying: copies of references are found; pictures of others, or of what was asked for, are none."""

import pytest
import torch
from factories_interactions import BRAMBLE_LOOK
from factories_model import BASE, make_album, make_prior_images

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.copying import Copying
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.model.pixels import to_pixels
from unichar.types import Prompt

ALBUM = make_album(6, seed=1)
REFERENCES = to_pixels(ALBUM.images)
ELSEWHERE = [Prompt(text="", attributes=dict.fromkeys(SCENE, "elsewhere"))] * 6
"""Prompts that ask for nothing of what the references show."""


def scene_of(scene) -> dict[str, str]:
    return {name: getattr(scene, name) for name in SCENE}


def prompts_of(scenes) -> list[Prompt]:
    return [Prompt(text="Bramble", attributes=scene_of(scene)) for scene in scenes]


@pytest.mark.parametrize(("encoder", "false_alarms"), [(ToonEncoder, 0), (PhotoEncoder, 2)])
def test_copies_are_found_and_other_characters_seldom_count_as_one(encoder, false_alarms):
    """For an ImageNet network two toons on one beach are close."""
    references = to_pixels(make_album(6, seed=1).images)
    judge = Copying(encoder(BASE), references)
    blurred = to_pixels([image.resize((96, 96)).resize((128, 128)) for image in make_album(6, seed=1).images])
    for copies in (references, (references * 0.97).clamp(-1, 1), blurred):
        assert torch.equal(judge.score(copies), torch.ones(6))
    assert judge.score(to_pixels(make_prior_images(6))).sum() <= false_alarms


def test_a_picture_of_what_was_asked_is_no_copy():
    copying = Copying(ToonEncoder(BASE), REFERENCES, scenes=[scene_of(scene) for scene in ALBUM.scenes])
    again = to_pixels([draw(BRAMBLE_LOOK, scene, seed=99) for scene in ALBUM.scenes])
    asked = prompts_of(ALBUM.scenes)
    assert copying.score(again).mean() == 1 and copying.score(again, asked).mean() < 0.5
    assert copying.score(again, ELSEWHERE).mean() == 1
    assert (copying.excess(REFERENCES, ELSEWHERE) > 0.99).all()
    assert (copying.excess(to_pixels(make_prior_images(6)), ELSEWHERE) >= 0).all()


def test_faultless_pictures_of_new_scenes_are_no_copies():
    copying = Copying(ToonEncoder(BASE), REFERENCES, scenes=[scene_of(scene) for scene in ALBUM.scenes])
    other = make_album(40, seed=3)
    pixels = to_pixels(other.images)
    assert copying.score(pixels, prompts_of(other.scenes)).mean() < 0.15
    assert copying.score(pixels).mean() > 0.3  # without its prompt
