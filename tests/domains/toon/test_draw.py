"""The renderer: the same picture for the same seed, at any size, and every visible attribute can be seen."""

import dataclasses
import random

import numpy as np
import pytest

from unichar.domains.toon.captions import visible
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import (
    ATTRIBUTES,
    IDENTITY,
    SPECIES,
    Identity,
    Scene,
    random_identity,
    random_scene,
)

HUMAN = Identity(
    species="human",
    color="green",
    eyes="brown",
    outfit="yellow",
    pattern="striped",
    accessory="bow",
    skin="tan",
)
FOX = Identity(species="fox", color="orange", eyes="green", outfit="blue", pattern="dotted", accessory="hat")
SMILE = Scene(expression="smiling", pose="waving", prop="cup", background="beach")


def _pixels(identity: Identity, scene: Scene, *, size: int = 64, seed: int = 0) -> np.ndarray:
    return np.asarray(draw(identity, scene, size=size, seed=seed), dtype=np.int16)


def _changed(before: np.ndarray, after: np.ndarray) -> int:
    """Pixels that differ so much that one sees it."""
    return int((np.abs(before - after).max(axis=2) > 40).sum())


def _with(identity: Identity, scene: Scene, name: str, value: str) -> tuple[Identity, Scene]:
    if name in IDENTITY:
        return dataclasses.replace(identity, **{name: value}), scene
    return identity, dataclasses.replace(scene, **{name: value})


def test_same_seed_same_picture() -> None:
    assert np.array_equal(_pixels(FOX, SMILE, seed=7), _pixels(FOX, SMILE, seed=7))


def test_another_seed_moves_the_figure_but_not_the_place() -> None:
    one, other = _pixels(FOX, SMILE, seed=1), _pixels(FOX, SMILE, seed=2)
    assert _changed(one, other) > 20
    assert np.array_equal(one[:, :6], other[:, :6])


@pytest.mark.parametrize("size", [8, 33, 64, 128, 500])
def test_any_size(size: int) -> None:
    picture = draw(FOX, SMILE, size=size)
    assert picture.size == (size, size)
    assert picture.mode == "RGB"


def test_sizes_show_the_same_picture() -> None:
    """Nearer to its own enlargement than to the same toon elsewhere; outlines are whole pixels wide."""
    reduced = np.asarray(draw(FOX, SMILE, size=512).reduce(4), dtype=np.int16)
    distance = {
        place: np.abs(_pixels(FOX, dataclasses.replace(SMILE, background=place), size=128) - reduced).mean()
        for place in ATTRIBUTES["background"]
    }
    assert distance.pop("beach") < 5 < 20 < min(distance.values())


@pytest.mark.parametrize("identity", [HUMAN, FOX], ids=["human", "fox"])
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_no_two_values_of_an_attribute_look_alike(name: str, identity: Identity) -> None:
    if name == "skin" and identity.species != "human":
        values = [_pixels(*_with(identity, SMILE, name, value)) for value in ATTRIBUTES[name]]
        assert all(np.array_equal(values[0], value) for value in values)  # fur hides the skin
        return
    pictures = {value: _pixels(*_with(identity, SMILE, name, value)) for value in ATTRIBUTES[name]}
    for i, one in enumerate(pictures):
        for other in list(pictures)[i + 1 :]:
            assert _changed(pictures[one], pictures[other]) >= 8, (name, one, other)


@pytest.mark.parametrize("species", SPECIES)
def test_whatever_is_asked_about_can_be_seen(species: str) -> None:
    rng = random.Random(species)
    for _ in range(12):
        identity, scene = dataclasses.replace(random_identity(rng), species=species), random_scene(rng)
        before = _pixels(identity, scene)
        for name, value in visible(identity, scene).items():
            other = rng.choice([v for v in ATTRIBUTES[name] if v != value])
            after = _pixels(*_with(identity, scene, name, other))
            assert _changed(before, after) >= 4, (identity, scene, name, other)


@pytest.mark.parametrize("expression", ["sleepy", "laughing"])
def test_closed_eyes_have_no_colour(expression: str) -> None:
    closed = dataclasses.replace(SMILE, expression=expression)
    pictures = [_pixels(dataclasses.replace(FOX, eyes=eyes), closed) for eyes in IDENTITY["eyes"]]
    assert all(np.array_equal(pictures[0], picture) for picture in pictures)


def test_jumping_leaves_the_ground() -> None:
    """The feet of a jumping toon are higher than those of a standing one (both drawn in the empty studio)."""
    feet = {}
    for pose in ("standing", "jumping"):
        scene = dataclasses.replace(SMILE, pose=pose, background="studio", prop="nothing")
        shoes = _pixels(FOX, scene, size=128)
        reddish = (shoes[:, :, 0] - shoes[:, :, 2] > 60).any(
            axis=1
        )  # the fox is the only warm thing in the studio
        feet[pose] = int(np.flatnonzero(reddish).max())
    assert feet["jumping"] < feet["standing"] - 3
