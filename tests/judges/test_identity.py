"""Identity: the same character in other scenes is alike, others are not."""

import pytest
import torch
from factories_interactions import BRAMBLE_LOOK
from factories_model import BASE, make_album, make_prior_images

from unichar.domains.toon.vocabulary import IDENTITY, Identity
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.judges.identity import AttributeIdentity, FeatureIdentity, negatives
from unichar.model.pixels import to_pixels

HUMAN = Identity(
    species="human", color="red", eyes="blue", outfit="green", pattern="plain", accessory="hat", skin="dark"
)


@pytest.fixture(scope="module", params=["toon", "tower"])
def encoder(request):
    """The report's encoder, and the reward's."""
    return ToonEncoder(BASE) if request.param == "toon" else request.getfixturevalue("model")


def known(encoder, look=BRAMBLE_LOOK) -> AttributeIdentity:
    references = to_pixels(make_album(6, look=look, seed=1).images)
    names = [name for name in IDENTITY if name != "skin" or look.species == "human"]
    return AttributeIdentity(encoder, references, names=names)


def test_the_same_character_elsewhere_is_alike_and_others_are_not(encoder):
    judge = known(encoder)
    same, others = (
        judge.score(to_pixels(images)) for images in (make_album(12, seed=2).images, make_prior_images(12))
    )
    assert same.shape == (12,) and float(others.min()) >= 0 and float(same.max()) <= 1
    assert same.mean() > 0.85 and others.mean() < 0.55
    assert same.min() > others.max()


def test_a_twin_with_another_shirt_is_less_alike(encoder):
    twin = Identity(
        species="bear", color="brown", eyes="green", outfit="yellow", pattern="plain", accessory="glasses"
    )
    judge = known(encoder)
    same, other = (
        judge.score(to_pixels(make_album(8, look=look, seed=3).images)) for look in (BRAMBLE_LOOK, twin)
    )
    assert same.mean() - 0.4 < other.mean() < same.mean() - 0.1


def test_the_skin_of_a_human_counts(encoder):
    judge = known(encoder, HUMAN)
    pale = Identity(**{**vars(HUMAN), "skin": "light"})
    same, other = (judge.score(to_pixels(make_album(8, look=look, seed=3).images)) for look in (HUMAN, pale))
    assert other.mean() < same.mean() - 0.05


def test_photographs_are_compared_by_features():
    album = to_pixels(make_album(12, seed=1).images)
    judge = FeatureIdentity(PhotoEncoder(BASE), album[:6], negatives(128))
    same, others = judge.score(album[6:]), judge.score(to_pixels(make_prior_images(12)))
    assert ((same >= 0) & (same <= 1)).all() and ((others >= 0) & (others <= 1)).all()
    assert same.mean() > others.mean() + 0.2


def test_references_of_a_photographed_character_are_as_alike_as_they_are_to_each_other():
    album = to_pixels(make_album(6, seed=1).images)
    assert FeatureIdentity(PhotoEncoder(BASE), album, negatives(128)).score(album).mean() > 0.9


def test_equal_pictures_do_not_divide_by_0():
    one = to_pixels(make_album(1).images).repeat(3, 1, 1, 1)
    assert FeatureIdentity(PhotoEncoder(BASE), one, one).score(one).isfinite().all()


def test_negatives_are_always_the_same():
    assert negatives(64).shape == (24, 3, 64, 64)
    assert torch.equal(negatives(64, 3), negatives(64)[:3])


def test_a_reference_is_most_like_itself():
    references = to_pixels(make_album(6, seed=1).images)
    likeness = known(ToonEncoder(BASE))
    assert torch.allclose(likeness.nearest(references), torch.ones(6), atol=1e-5)
    assert (likeness.nearest(references, others=True) < likeness.nearest(references)).all()
