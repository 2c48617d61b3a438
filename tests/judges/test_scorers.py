"""Scorers of both domains; held-out pictures never count as known."""

import pytest
import torch
from factories_interactions import nia_the_photographer
from factories_model import BASE, make_inputs, make_prior_images

from unichar.domains.lookup import domain_of
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.judges.scorers import Scorers
from unichar.kit.images import load_picture
from unichar.model.pixels import to_images, to_pixels
from unichar.types import CuratedKit, Prompt


@pytest.fixture(scope="module", params=["toon", "photo"])
def case(request, tmp_path_factory):
    """(scorers, kit, pixels of every picture of the kit, their prompts)"""
    toon = request.param == "toon"
    folder = make_inputs(tmp_path_factory.mktemp("kit"), **({} if toon else nia_the_photographer()))[
        "curated_kit"
    ]
    kit = CuratedKit.read(folder)
    scorers = Scorers(ToonEncoder(BASE) if toon else PhotoEncoder(BASE), kit, folder, size=128, soft=False)
    pixels = to_pixels([load_picture(folder / picture.image, 128) for picture in kit.pictures])
    prompts = [Prompt(text=p.caption, attributes=p.attributes, reference=p.image) for p in kit.pictures]
    return scorers, kit, pixels, prompts


def test_known_are_the_training_pictures(case):
    scorers, kit, pixels, _ = case
    train = [i for i, picture in enumerate(kit.pictures) if picture.split == "train"]
    assert torch.equal(scorers.references, pixels[train])


def test_the_kits_own_pictures_are_alike_and_aligned_and_others_less(case):
    scorers, _, pixels, prompts = case
    others = to_pixels(make_prior_images(len(prompts)))
    assert scorers.likeness(pixels).mean() > scorers.likeness(others).mean() + 0.2
    assert scorers.alignment(pixels, prompts).mean() > 0.85
    assert scorers.alignment(others, prompts).mean() < 0.7
    assert len(scorers.vectors(pixels)) == len(pixels)


def test_rewards_do_not_see_the_held_out_pictures(case, tmp_path):
    """Only the report may: the same training prompts score the same whatever the held-out pictures show."""
    scorers, kit, pixels, prompts = case
    encoder, train = (
        scorers._encoder,
        [i for i, picture in enumerate(kit.pictures) if picture.split == "train"],
    )
    (tmp_path / "images").mkdir()
    for picture, image, other in zip(
        kit.pictures, to_images(pixels), make_prior_images(len(pixels)), strict=True
    ):
        (image if picture.split == "train" else other).save(tmp_path / picture.image)
    again = Scorers(encoder, kit, tmp_path, size=128, soft=False)
    drawn, asked = pixels[train].flip(0), [prompts[i] for i in train]
    assert torch.equal(scorers.alignment(drawn, asked), again.alignment(drawn, asked))
    assert torch.equal(scorers.likeness(drawn), again.likeness(drawn))


def test_a_scene_that_cannot_be_judged_gets_0_and_changes_no_other_score(case):
    scorers, kit, pixels, prompts = case
    if domain_of(kit).reads_attributes:
        return
    train = [i for i, picture in enumerate(kit.pictures) if picture.split == "train"]
    asked = [prompts[train[0]], Prompt(text="elsewhere"), prompts[train[1]]]
    drawn = pixels[[train[0], train[2], train[1]]]
    expected = scorers.alignment(drawn[[0, 2]], [asked[0], asked[2]])
    assert scorers.alignment(drawn, asked).tolist() == [expected[0], 0.0, expected[1]]
    assert scorers.alignment(drawn[1:2], asked[1:2]).tolist() == [0.0]
    assert [scorers.aligns(prompt) for prompt in asked] == [True, False, True]
