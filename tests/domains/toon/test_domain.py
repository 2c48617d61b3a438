"""The toon domain: exact words for every picture, new scenes that no test asks for, renders as oracle."""

import random
from itertools import islice
from pathlib import Path

import pytest
from factories_interactions import make_curated_kit

from unichar.domains.lookup import DOMAINS
from unichar.domains.toon.vocabulary import ATTRIBUTES, IDENTITY, SCENE, is_reserved
from unichar.types import CuratedKit, Interaction, Prompt, Segment

TOON = DOMAINS["toon"]
TINY_PICTURE = {
    "species": "frog",
    "expression": "sad",
    "pose": "waving",
    "prop": "cup",
    "background": "beach",
    "skin": "tan",
}


@pytest.fixture
def kit(tmp_path: Path) -> CuratedKit:
    return make_curated_kit(tmp_path)


def sample_of(attributes: dict[str, str]) -> Interaction:
    segment = Segment(type="text", value="Bramble somewhere.", role="user")
    return Interaction(
        id="",
        kind="portrait",
        form="plain",
        split="test",
        group="",
        segments=(segment,),
        attributes=attributes,
    )


def test_skin_under_fur_is_not_visible() -> None:
    assert list(TOON.visible_attributes(TINY_PICTURE)) == ["species", *SCENE]
    assert "skin" in TOON.visible_attributes(TINY_PICTURE | {"species": "human"})


def test_words_for_a_scene_line_say_what_the_attributes_say() -> None:
    rng = random.Random(0)
    assert "cup" in TOON.compose_caption("Pip", TINY_PICTURE, rng)
    thinking = TOON.compose_thinking("Pip", TINY_PICTURE, rng)
    assert thinking.startswith("The answer is a sad one. I picture Pip ")


def test_captions_are_different_and_the_kits_own_comes_first(kit: CuratedKit) -> None:
    picture = kit.pictures[0]
    captions = TOON.captions(kit, picture, count=6, rng=random.Random(0))
    assert captions[0] == picture.caption and len(set(captions)) == 6
    assert all("Bramble" in caption for caption in captions)


def test_wrong_options_are_other_values_of_the_same_attribute(kit: CuratedKit) -> None:
    questions = TOON.questions(kit, kit.pictures[0], wordings=1, rng=random.Random(0))
    assert questions[0].form == "name" and questions[0].options[0] == "Bramble"
    for question in questions[1:]:
        assert question.options[0] == question.answer and len(set(question.options)) == 4
        assert set(question.options) <= set(ATTRIBUTES[question.form])


def test_unseen_prompts_describe_whole_scenes_of_no_picture(kit: CuratedKit) -> None:
    prompts = TOON.unseen_prompts(kit, count=20, rng=random.Random(0))
    keys = [TOON.scene_key(prompt.attributes) for prompt in prompts]
    assert len(set(keys)) == 20 and all(len(key) == len(SCENE) for key in keys)
    assert not set(keys) & {TOON.scene_key(picture.attributes) for picture in kit.pictures}
    assert all(set(prompt.attributes) >= set(SCENE) and not prompt.is_open for prompt in prompts)


def test_open_prompts_name_one_or_two_attributes_and_the_identity(kit: CuratedKit) -> None:
    prompts = TOON.open_prompts(kit, count=20, rng=random.Random(0))
    keys = [TOON.scene_key(prompt.attributes) for prompt in prompts]
    assert len(set(keys)) == 20 and {len(key) for key in keys} == {1, 2}
    assert all(prompt.is_open and "species" in prompt.attributes for prompt in prompts)


def test_instruction_scenes_are_drawn_as_they_are_asked_for(kit: CuratedKit) -> None:
    """The caller draws from the same generator in between."""
    rng, again = random.Random(0), random.Random(0)
    first, second = islice(TOON.instruction_scenes(kit, rng), 2)
    scenes = TOON.instruction_scenes(kit, again)
    assert next(scenes) == first
    again.random()
    assert next(scenes) != second
    assert set(first[1]) == set(SCENE)


def test_no_prompt_asks_for_what_a_test_or_validation_asks_for(kit: CuratedKit) -> None:
    test = [sample_of({"pose": pose}) for pose in SCENE["pose"]]
    validation = TOON.validation_prompts(kit, [], test, count=40, rng=random.Random(0))
    training = TOON.training_prompts(kit, [], test, validation=validation, count=200, rng=random.Random(1))
    keys = [TOON.scene_key(prompt.attributes) for prompt in validation]
    assert len(set(keys)) == 40 and len(training) == 200
    taken = set(keys) | {TOON.scene_key(item.attributes) for item in test}
    assert not taken & {TOON.scene_key(prompt.attributes) for prompt in training}
    assert [prompt.is_open for prompt in training[:5]] == [False, True, True, True, False]


def test_the_skin_counts_for_humans_only(kit: CuratedKit) -> None:
    assert TOON.identity_attributes(kit) == tuple(name for name in IDENTITY if name != "skin")


def test_prior_images_show_nobody_of_the_cast(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(
        "unichar.domains.toon.domain.describe", lambda identity: drawn.append(identity) or "somebody"
    )
    prompts, images = TOON.prior_images(count=8, size=32, rng=random.Random(0))
    assert len(set(prompts)) == 8 and {image.size for image in images} == {(32, 32)}
    assert len(drawn) == 4 and not any(is_reserved(identity) for identity in drawn)
    assert (prompts, images) == TOON.prior_images(count=8, size=32, rng=random.Random(0))


def test_oracle_images_vary_in_what_is_left_open(kit: CuratedKit, tmp_path: Path) -> None:
    prompt = Prompt(text="", attributes={"background": "beach"}, is_open=True)
    images = TOON.oracle_images(kit, tmp_path, prompt, count=4, rng=random.Random(0))
    assert len({image.tobytes() for image in images}) == 4
