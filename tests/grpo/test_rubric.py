"""The reward: a weighted sum of scores."""

import pytest
import torch
from factories_interactions import BRAMBLE_LOOK
from factories_model import make_album, make_prior_images

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import SCENE
from unichar.grpo.config import RewardConfig
from unichar.grpo.rubric import Drawn, Rubric
from unichar.judges.naturalness import Naturalness
from unichar.judges.scorers import Scorers
from unichar.model.pixels import to_pixels
from unichar.types import CuratedKit, Prompt

TERMS = {"identity", "alignment", "diversity", "naturalness"}


@pytest.fixture(scope="module")
def judge(model, inputs):
    """(pictures, prompts, settings) -> rewards."""
    folder = inputs["curated_kit"]
    scorers = Scorers(model, CuratedKit.read(folder), folder, size=128, soft=True)
    nothing = model.prompt_context([""])
    natural = Naturalness(
        lambda x, t: model.velocity(x, t, nothing), model.encode_images(make_album(6, seed=9).images)
    )

    def score(images, prompts, config=RewardConfig()):  # noqa: B008
        drawn = Drawn(latents=model.encode_images(images), pixels=to_pixels(images))
        return Rubric(scorers, natural, config).score(drawn, prompts)

    return score


def prompt_of(scene) -> Prompt:
    return Prompt(text="Bramble", attributes={name: getattr(scene, name) for name in SCENE})


def test_the_character_in_the_right_scene_has_the_highest_reward(judge):
    album = make_album(3, seed=4)
    prompts = [prompt_of(scene) for scene in album.scenes]
    right = [draw(BRAMBLE_LOOK, scene, seed=seed) for scene in album.scenes for seed in (1, 2)]
    wrong_scene = [
        draw(BRAMBLE_LOOK, scene, seed=seed)
        for scene in album.scenes[1:] + album.scenes[:1]
        for seed in (1, 2)
    ]
    best, elsewhere, others = (
        judge(images, prompts) for images in (right, wrong_scene, make_prior_images(6))
    )
    assert (
        best.total.shape == (3, 2)
        and best.terms.keys() == TERMS
        and {part.shape for part in best.terms.values()} == {(3, 2)}
    )
    assert best.terms["identity"].mean() > others.terms["identity"].mean() + 0.2
    assert best.terms["alignment"].mean() > elsewhere.terms["alignment"].mean() + 0.2
    assert best.terms["naturalness"].mean() > 0.5
    assert best.total.mean() > max(elsewhere.total.mean(), others.total.mean())


def test_the_total_is_the_weighted_sum(judge):
    album = make_album(4, seed=4)
    config = RewardConfig(
        identity_weight=2.0, alignment_weight=0.5, diversity_weight=0.25, naturalness_weight=0.75
    )
    rewards = judge(album.images, [prompt_of(scene) for scene in album.scenes[:2]], config)
    weights = {"identity": 2.0, "alignment": 0.5, "diversity": 0.25, "naturalness": 0.75}
    assert torch.allclose(
        rewards.total, sum(weight * rewards.terms[name] for name, weight in weights.items())
    )


def test_pictures_of_a_prompt_are_compared_with_each_other_only(judge):
    twins, pair = make_album(1).images * 2, make_prior_images(2)
    diversity = judge([*twins, *pair], [prompt_of(make_album(1).scenes[0])] * 2).terms["diversity"]
    assert (diversity[0] < 1e-3).all() and (diversity[1] > 0.1).all()


def test_diversity_is_scaled_by_identity(judge):
    scenes = make_album(4, seed=4).scenes
    own = [draw(BRAMBLE_LOOK, scene, seed=1) for scene in scenes]
    prompts = [Prompt(text="anything", attributes={"pose": scenes[0].pose})] * 2
    rewards = judge([*own, *make_prior_images(4)], prompts)
    identity, diversity = rewards.terms["identity"].clamp(0, 1), rewards.terms["diversity"]
    unlike = diversity / identity.clamp(min=1e-6)
    # The others differ more from each other.
    assert unlike[1].mean() > unlike[0].mean()
    assert diversity[1].mean() < unlike[1].mean() * 0.8 and diversity[0].mean() > unlike[0].mean() * 0.8
