"""Alignment: a picture of the scene that was asked for scores, another does not."""

import pytest
import torch
from factories_model import BASE, make_album

from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.alignment import AttributeAlignment, SceneRank
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.model.pixels import to_pixels


@pytest.fixture(scope="module")
def album():
    return make_album(12, seed=5)


@pytest.fixture(scope="module")
def wanted(album):
    return [{name: getattr(scene, name) for name in SCENE} for scene in album.scenes]


def test_renders_of_the_wanted_scene_are_right_nearly_always(album, wanted):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    right = judge.score(to_pixels(album.images), wanted)
    assert right.mean() > 0.9 and (right == 1).float().mean() > 0.6
    assert set((right * 4).tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    assert judge.score(to_pixels(album.images), wanted[1:] + wanted[:1]).mean() < 0.5


def test_every_attribute_counts_a_quarter(album, wanted):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    pixels = to_pixels(album.images)
    right = judge.score(pixels, wanted)
    elsewhere = [w | {"background": "beach" if w["background"] != "beach" else "night"} for w in wanted]
    assert torch.allclose((right - judge.score(pixels, elsewhere)).mean(), torch.tensor(0.25), atol=0.05)


def test_a_reward_has_a_slope(model, album, wanted):
    judge = AttributeAlignment(model, soft=True)
    right, wrong = (
        judge.score(to_pixels(album.images), scenes) for scenes in (wanted, wanted[1:] + wanted[:1])
    )
    assert right.mean() > 0.7 > 0.5 > wrong.mean()
    assert ((right > 0) & (right < 1)).all() and len(set((right * 4).tolist())) > 5


def test_further_attributes_of_a_prompt_are_no_matter(album, wanted):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    more = [w | {"species": "robot", "color": "pink"} for w in wanted]
    assert torch.equal(
        judge.score(to_pixels(album.images), more), judge.score(to_pixels(album.images), wanted)
    )


def test_what_a_prompt_leaves_open_does_not_count(album, wanted):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    pixels = to_pixels(album.images)
    places = [{"background": w["background"]} for w in wanted]
    right = judge.score(pixels, places)
    assert set(right.tolist()) <= {0.0, 1.0} and right.mean() > 0.9
    elsewhere = [{"background": "beach" if w["background"] != "beach" else "night"} for w in wanted]
    assert torch.equal(judge.score(pixels, elsewhere), torch.zeros(12))
    mixed = judge.score(pixels, places[:6] + wanted[6:])
    assert torch.equal(mixed, torch.cat([right[:6], judge.score(pixels, wanted)[6:]]))


@pytest.mark.parametrize("eye", [ToonEncoder, PhotoEncoder])
def test_a_reference_ranks_first_for_itself_and_lower_for_another(album, eye):
    pixels = to_pixels(album.images)
    judge = SceneRank(eye(BASE), pixels)
    assert torch.equal(judge.score(pixels, range(12)), torch.ones(12))
    others = judge.score(pixels, [*range(1, 12), 0])
    assert ((others >= 0) & (others < 1)).all()
    farthest = judge.score(pixels[:1].repeat(12, 1, 1, 1), range(12))
    assert sorted(farthest.tolist()) == pytest.approx([i / 11 for i in range(12)])


def test_a_poor_likeness_of_the_scene_still_ranks_high(album):
    pixels = to_pixels([image.resize((40, 40)).resize((128, 128)) for image in album.images])
    assert SceneRank(PhotoEncoder(BASE), to_pixels(album.images)).score(pixels, range(12)).mean() > 0.9
