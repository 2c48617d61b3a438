"""Captions say exactly what a picture shows, and every visible attribute has a question with its answer."""

import dataclasses
import random

import pytest

from unichar.domains.toon.captions import caption, describe, questions, random_name, scene_phrases, visible
from unichar.domains.toon.vocabulary import (
    ATTRIBUTES,
    IDENTITY,
    SCENE,
    Identity,
    Scene,
    attributes,
    random_identity,
    random_scene,
)

HUMAN = Identity(
    species="human",
    color="green",
    eyes="brown",
    outfit="yellow",
    pattern="striped",
    accessory="scarf",
    skin="tan",
)
OWL = Identity(
    species="owl", color="orange", eyes="blue", outfit="white", pattern="plain", accessory="nothing"
)
SMILE = Scene(expression="smiling", pose="waving", prop="cup", background="beach")
SEEDS = range(40)


def _wordings(name: str, value: str) -> set[str]:
    """Every wording of one value of a scene."""
    scene = dataclasses.replace(SMILE, **{name: value})
    position = {"expression": 0, "pose": 1, "prop": 2, "background": -1}[name]
    if name == "prop" and value == "nothing":
        return set()
    return {scene_phrases(scene, random.Random(seed))[position] for seed in SEEDS}


WORDINGS = {name: {value: _wordings(name, value) for value in values} for name, values in SCENE.items()}


@pytest.mark.parametrize("name", SCENE)
def test_no_wording_belongs_to_two_values(name: str) -> None:
    phrases = [phrase for value in SCENE[name] for phrase in WORDINGS[name][value]]
    assert len(phrases) == len(set(phrases))


def test_captions_name_every_value_of_the_scene_and_no_other() -> None:
    rng = random.Random(0)
    for _ in range(300):
        scene = random_scene(rng)
        text = caption("Zunix", scene, rng)
        for name, values in SCENE.items():
            told = {value for value in values if any(phrase in text for phrase in WORDINGS[name][value])}
            assert told == {getattr(scene, name)} - {"nothing"}, text


def test_captions_come_in_several_wordings_that_repeat_with_the_seed() -> None:
    texts = [caption("Zunix", SMILE, random.Random(seed)) for seed in SEEDS]
    assert texts == [caption("Zunix", SMILE, random.Random(seed)) for seed in SEEDS]
    assert len(set(texts)) > 10
    assert all("Zunix" in text for text in texts)


def test_an_empty_hand_is_not_mentioned() -> None:
    empty = dataclasses.replace(SMILE, prop="nothing")
    assert all("holding" not in caption("Zunix", empty, random.Random(seed)) for seed in SEEDS)


def test_description_of_a_human_and_of_an_animal() -> None:
    assert describe(OWL) == "an orange owl with blue eyes in a white shirt"
    assert describe(HUMAN) == (
        "a human with green hair and tan skin, brown eyes in a striped yellow shirt, wearing a red scarf"
    )


@pytest.mark.parametrize("identity", [HUMAN, OWL], ids=["human", "owl"])
def test_description_changes_with_every_attribute_one_can_see(identity: Identity) -> None:
    for name, values in IDENTITY.items():
        texts = {describe(dataclasses.replace(identity, **{name: value})) for value in values}
        assert len(texts) == (1 if name == "skin" and identity.species != "human" else len(values)), name


def test_every_visible_attribute_has_one_answerable_question() -> None:
    rng = random.Random(0)
    for _ in range(200):
        identity, scene = random_identity(rng), random_scene(rng)
        asked = questions(identity, scene, rng)
        assert {name: answer for name, _, answer in asked} == visible(identity, scene)
        assert len(asked) == len(visible(identity, scene))
        assert all(question.endswith("?") and answer in ATTRIBUTES[name] for name, question, answer in asked)


def test_a_question_asks_about_one_attribute_only() -> None:
    meant: dict[str, set[str]] = {}
    for seed in SEEDS:
        for name, question, _ in questions(HUMAN, SMILE, random.Random(seed)):
            meant.setdefault(question, set()).add(name)
    assert all(len(names) == 1 for names in meant.values())
    assert {name for names in meant.values() for name in names} == set(ATTRIBUTES)


@pytest.mark.parametrize("expression", SCENE["expression"])
def test_nobody_is_asked_about_the_colour_of_closed_eyes(expression: str) -> None:
    seen = visible(HUMAN, dataclasses.replace(SMILE, expression=expression))
    assert ("eyes" in seen) == (expression not in ("sleepy", "laughing"))


def test_visible_leaves_the_attributes_alone() -> None:
    sleepy = dataclasses.replace(SMILE, expression="sleepy")
    assert "skin" in visible(HUMAN, sleepy) and "skin" not in visible(OWL, sleepy)
    assert visible(HUMAN, SMILE) == attributes(HUMAN, SMILE)


def test_random_names_are_many_and_capitalised() -> None:
    rng = random.Random(0)
    names = {random_name(rng) for _ in range(500)}
    assert len(names) > 100
    assert all(name.istitle() for name in names)
