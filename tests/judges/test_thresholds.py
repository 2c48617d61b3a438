"""The identity band: alike, but not the same picture; its ends are the kit's own."""

import pytest
import torch
from factories_interactions import BRAMBLE_LOOK
from factories_model import BASE, make_album, make_prior_images

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import IDENTITY, SCENE
from unichar.judges.copying import Copying
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.judges.identity import AttributeIdentity, FeatureIdentity
from unichar.judges.negatives import strangers
from unichar.judges.thresholds import IdentityThresholds
from unichar.model.pixels import to_pixels
from unichar.types import Prompt

NAMES = [name for name in IDENTITY if name != "skin"]

ALBUM = make_album(6, seed=1)
REFERENCES = to_pixels(ALBUM.images)
ELSEWHERE = [Prompt(text="", attributes=dict.fromkeys(SCENE, "elsewhere"))] * 6
"""Prompts that ask for nothing of what the references show."""


def scene_of(scene) -> dict[str, str]:
    return {name: getattr(scene, name) for name in SCENE}


def prompts_of(scenes) -> list[Prompt]:
    return [Prompt(text="Bramble", attributes=scene_of(scene)) for scene in scenes]


def band(sort: str) -> tuple[IdentityThresholds, AttributeIdentity | FeatureIdentity]:
    if sort == "toon":
        eye, likeness = ToonEncoder(BASE), AttributeIdentity(ToonEncoder(BASE), REFERENCES, names=NAMES)
        copying = Copying(eye, REFERENCES, scenes=[scene_of(scene) for scene in ALBUM.scenes])
        return IdentityThresholds(likeness, copying, REFERENCES), likeness
    photo = FeatureIdentity(PhotoEncoder(BASE), REFERENCES, strangers(128))
    return IdentityThresholds(photo, Copying(PhotoEncoder(BASE), REFERENCES), REFERENCES), photo


@pytest.mark.parametrize(("sort", "least", "margin"), [("toon", 0.9, 0.3), ("photo", 0.5, 0.0)])
def test_inside_the_band_all_are_equal_strangers_and_copies_are_not(sort, least, margin):
    """Without words for the scenes, as with photographs, two toons on one beach count as half a copy."""
    judge, _ = band(sort)
    other = make_album(12, seed=2)
    inside = judge.score(to_pixels(other.images), prompts_of(other.scenes))
    outside = judge.score(to_pixels(make_prior_images(12)), prompts_of(other.scenes))
    copies = judge.score(REFERENCES, ELSEWHERE)
    assert float(inside.max()) <= 1 and inside.mean() > least
    assert outside.mean() < inside.mean() - margin
    assert copies.mean() < 0.5


@pytest.mark.parametrize("sort", ["toon", "photo"])
def test_the_lower_end_is_the_middle_one_of_the_references(sort):
    judge, likeness = band(sort)
    if sort == "toon":
        rows = [torch.cat([REFERENCES[:i], REFERENCES[i + 1 :]]) for i in range(6)]
        rest = [AttributeIdentity(ToonEncoder(BASE), others, names=NAMES) for others in rows]
        alone = [float(rest[i].nearest(REFERENCES[i : i + 1])) for i in range(6)]
        assert judge.low == pytest.approx(float(torch.tensor(alone).median()), abs=1e-4)
    assert judge.low == pytest.approx(float(likeness.nearest(REFERENCES, others=True).median()))
    assert 0 < judge.low < float(likeness.nearest(REFERENCES).min())


def test_a_reference_is_most_like_itself():
    likeness = AttributeIdentity(ToonEncoder(BASE), REFERENCES, names=NAMES)
    assert torch.allclose(likeness.nearest(REFERENCES), torch.ones(6), atol=1e-5)
    assert (likeness.nearest(REFERENCES, others=True) < likeness.nearest(REFERENCES)).all()


def test_who_draws_what_was_asked_has_copied_nothing():
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
    assert copying.score(pixels).mean() > 0.3  # what it would be without asking for the scene
