"""Alignment and consistency: a picture of the prompted scene scores, another does not."""

import pytest
import torch
from factories_interactions import make_curated_kit, nia_the_photographer
from factories_model import BASE, make_album

from unichar.domains.toon.vocabulary import SCENE
from unichar.judges.alignment import AttributeAlignment, Consistency, SceneRank
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.model.pixels import to_pixels
from unichar.types import Prompt


@pytest.fixture(scope="module")
def album():
    return make_album(12, seed=5)


@pytest.fixture(scope="module")
def targets(album):
    return [{name: getattr(scene, name) for name in SCENE} for scene in album.scenes]


def test_renders_of_the_target_scene_are_nearly_always_right(album, targets):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    right = judge.score(to_pixels(album.images), targets)
    assert right.mean() > 0.9 and (right == 1).float().mean() > 0.6
    assert set((right * 4).tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    assert judge.score(to_pixels(album.images), targets[1:] + targets[:1]).mean() < 0.5


def test_every_attribute_counts_a_quarter(album, targets):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    pixels = to_pixels(album.images)
    right = judge.score(pixels, targets)
    elsewhere = [
        target | {"background": "beach" if target["background"] != "beach" else "night"} for target in targets
    ]
    assert torch.allclose((right - judge.score(pixels, elsewhere)).mean(), torch.tensor(0.25), atol=0.05)


def test_soft_scores_are_not_hits_alone(model, album, targets):
    judge = AttributeAlignment(model, soft=True)
    right, wrong = (
        judge.score(to_pixels(album.images), scenes) for scenes in (targets, targets[1:] + targets[:1])
    )
    assert right.mean() > 0.7 > 0.5 > wrong.mean()
    assert ((right > 0) & (right < 1)).all() and len(set((right * 4).tolist())) > 5


def test_attributes_of_the_identity_do_not_count(album, targets):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    more = [target | {"species": "robot", "color": "pink"} for target in targets]
    assert torch.equal(
        judge.score(to_pixels(album.images), more), judge.score(to_pixels(album.images), targets)
    )


def test_what_a_prompt_leaves_open_does_not_count(album, targets):
    judge = AttributeAlignment(ToonEncoder(BASE), soft=False)
    pixels = to_pixels(album.images)
    places = [{"background": target["background"]} for target in targets]
    right = judge.score(pixels, places)
    assert set(right.tolist()) <= {0.0, 1.0} and right.mean() > 0.9
    elsewhere = [
        {"background": "beach" if target["background"] != "beach" else "night"} for target in targets
    ]
    assert torch.equal(judge.score(pixels, elsewhere), torch.zeros(12))
    mixed = judge.score(pixels, places[:6] + targets[6:])
    assert torch.equal(mixed, torch.cat([right[:6], judge.score(pixels, targets)[6:]]))


@pytest.mark.parametrize("encoder", [ToonEncoder, PhotoEncoder])
def test_a_reference_ranks_first_for_itself_and_lower_for_another(album, encoder):
    pixels = to_pixels(album.images)
    judge = SceneRank(encoder(BASE), pixels)
    assert torch.equal(judge.score(pixels, range(12)), torch.ones(12))
    others = judge.score(pixels, [*range(1, 12), 0])
    assert ((others >= 0) & (others < 1)).all()
    farthest = judge.score(pixels[:1].repeat(12, 1, 1, 1), range(12))
    assert sorted(farthest.tolist()) == pytest.approx([i / 11 for i in range(12)])


def test_a_blurred_picture_of_the_scene_still_ranks_high(album):
    pixels = to_pixels([image.resize((40, 40)).resize((128, 128)) for image in album.images])
    assert SceneRank(PhotoEncoder(BASE), to_pixels(album.images)).score(pixels, range(12)).mean() > 0.9


class BrightnessJudge:
    """A `TextJudge` that tells light pictures from dark ones."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def score(self, pixels, texts):
        self.texts += texts
        light = pixels.flatten(1).mean(dim=1) / 2 + 0.5
        return torch.stack(
            [level if "sunny" in text else 1 - level for level, text in zip(light, texts, strict=True)]
        )


def test_a_turn_with_attributes_is_judged_by_its_own_scene(tmp_path):
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


def test_photographs_are_compared_with_the_reply_by_judges_that_read(nia):
    judge, attributes = BrightnessJudge(), AttributeAlignment(ToonEncoder(BASE), soft=True)
    pixels = torch.cat([torch.full((1, 3, 8, 8), level) for level in (0.8, -0.8, 0.8)])
    sunny, dark = (Prompt(text="", reply=f"It is {word} where Nia stands.") for word in ("sunny", "dark"))
    found = Consistency(attributes, nia, [judge]).score(pixels, [sunny, dark, Prompt(text="Nia on a train.")])
    assert found.tolist() == pytest.approx([0.9, 0.9, 0.0])
    assert judge.texts == ["It is sunny where the person stands.", "It is dark where the person stands."]
    assert Consistency(attributes, nia, [judge]).score(pixels[:2], [dark, sunny]).tolist() == pytest.approx(
        [0.1, 0.1]
    )


def test_photographs_get_0_without_judges_that_read(nia):
    judge = Consistency(AttributeAlignment(ToonEncoder(BASE), soft=True), nia, ())
    assert judge.score(torch.zeros(2, 3, 8, 8), [Prompt(text="", reply="It is dark.")] * 2).tolist() == [
        0.0,
        0.0,
    ]
