"""The domain of photographs: prompts from everyday scenes, no attributes, no renders."""

import random
from pathlib import Path

import pytest
from factories_interactions import make_curated_kit, nia_the_photographer
from PIL import Image

from unichar.domains.lookup import DOMAINS
from unichar.errors import UserError
from unichar.types import CuratedKit, Prompt

PHOTO = DOMAINS["photo"]


@pytest.fixture
def kit(tmp_path: Path) -> CuratedKit:
    return make_curated_kit(tmp_path, **nia_the_photographer())


def known_prompts(kit: CuratedKit) -> list[Prompt]:
    train = kit.split("train")
    return [Prompt(text=picture.caption, reference=picture.image) for picture in train]


def test_captions_frame_the_kits_own_words(kit: CuratedKit) -> None:
    picture = kit.pictures[0]
    captions = PHOTO.captions(kit, picture, count=9, rng=random.Random(0))
    assert captions[0] == picture.caption and len(set(captions)) == len(captions) == 5
    assert all(picture.caption in caption for caption in captions)
    assert PHOTO.captions(kit, picture, count=2, rng=random.Random(0)) == captions[:2]


def test_questions_have_the_answer_first_and_captions_of_other_pictures_as_options(kit: CuratedKit) -> None:
    picture = kit.split("test")[0]
    questions = PHOTO.questions(kit, picture, wordings=1, rng=random.Random(0))
    assert [question.form for question in questions] == ["name", "caption", "match", "match"]
    assert questions[0].answer == kit.name and [q.answer for q in questions[2:]] == ["Yes", "No"]
    options = questions[1].options
    assert options[0] == picture.caption and len(set(options)) == 4
    assert set(options[1:]) <= {other.caption for other in kit.split("train")}


def test_open_prompts_are_everyday_scenes_and_leave_as_many_for_training(kit: CuratedKit) -> None:
    prompts = PHOTO.open_prompts(kit, count=1000, rng=random.Random(0))
    assert len(prompts) == len({prompt.text for prompt in prompts}) == 64
    assert all(prompt.is_open and prompt.text.startswith("Nia ") for prompt in prompts)


def test_scenes_that_nobody_can_judge_are_not_asked_for(kit: CuratedKit) -> None:
    rng = random.Random(0)
    assert PHOTO.unseen_prompts(kit, count=5, rng=rng) == []
    assert list(PHOTO.instruction_scenes(kit, rng)) == []
    assert PHOTO.identity_attributes(kit) == () and PHOTO.scene_key({"pose": "waving"}) == frozenset()


def test_training_and_validation_share_neither_pictures_nor_scenes(kit: CuratedKit) -> None:
    known = known_prompts(kit)
    validation = PHOTO.validation_prompts(kit, known, [], count=6, rng=random.Random(0))
    training = PHOTO.training_prompts(kit, known, [], validation=validation, count=300, rng=random.Random(1))
    assert len(training) == 300 and not {p.text for p in training} & {p.text for p in validation}
    held_back = {prompt.reference for prompt in validation} - {""}
    assert held_back and not held_back & {prompt.reference for prompt in training}
    assert {prompt.is_open for prompt in training[:2]} == {True, False}


def test_the_oracle_is_the_photograph_itself(kit: CuratedKit, tmp_path: Path) -> None:
    reference = kit.pictures[0].image
    rng = random.Random(0)
    (image,) = PHOTO.oracle_images(kit, tmp_path, Prompt(text="", reference=reference), count=3, rng=rng)
    assert image.mode == "RGB" and image.tobytes() == Image.open(tmp_path / reference).tobytes()
    assert PHOTO.oracle_images(kit, tmp_path, Prompt(text="Nia on a train."), count=3, rng=rng) == []


def test_prior_images_cannot_be_rendered() -> None:
    assert not PHOTO.renders
    with pytest.raises(UserError, match=r"expected SftConfig\.prior 'base' or prior_pictures 0"):
        PHOTO.prior_images(count=1, size=64, rng=random.Random(0))
