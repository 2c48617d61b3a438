"""Multimodal turns replace every third prompt, and only where their reward has a weight."""

import pytest
from factories_grpo import grpo_job, train_rounds
from factories_interactions import nia_the_photographer
from factories_model import make_inputs, make_job
from factories_small import small_model

from unichar.domains.lookup import DOMAINS, domain_of
from unichar.domains.toon.vocabulary import SCENE
from unichar.grpo.config import GrpoConfig, RewardConfig
from unichar.grpo.multimodal import disjoint_turns, training_turns, with_turns
from unichar.grpo.prompts import training_prompts, validation_prompts
from unichar.grpo.train import Trainer, run
from unichar.types import CuratedKit, Prompt, read_interactions

scene_key = DOMAINS["toon"].scene_key


def read(inputs):
    kit = CuratedKit.read(inputs["curated_kit"])
    return kit, *(read_interactions(inputs["interactions"] / f"{split}.jsonl") for split in ("train", "test"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("nia"), **nia_the_photographer())


def test_turns_of_toons_are_the_instruction_samples(inputs):
    kit, train, test = read(inputs)
    found = training_turns(kit, train, test)
    scenes = [scene_key(prompt.attributes) for prompt in found]
    assert len(set(scenes)) == len(found) > 30 and all(len(scene) == len(SCENE) for scene in scenes)
    assert not set(scenes) & {scene_key(item.attributes) for item in test}
    assert not set(scenes) & {scene_key(picture.attributes) for picture in kit.pictures}
    for prompt in found:
        user, reply = (
            part.split("\n")[0] for part in prompt.text.split("User Input: ")[1].split("Character Response: ")
        )
        item = next(item for item in train if item.kind == "role_play" and item.prompt == user)
        assert (
            item.target.value == reply
            and prompt.reply.startswith(reply)
            and prompt.attributes == item.attributes
        )


def test_an_instruction_for_a_scene_of_the_test_is_left_out(inputs):
    kit, train, test = read(inputs)
    first, *others = training_turns(kit, train, test)
    unseen = next(item for item in test if item.group.startswith("unseen"))
    asked = [*test, type(unseen)(**vars(unseen) | {"attributes": unseen.attributes | first.attributes})]
    assert training_turns(kit, train, asked) == others


def test_turns_of_photographs_are_those_of_training(photographs):
    kit, train, test = read(photographs)
    found = training_turns(kit, train, test)
    assert {prompt.text for prompt in found} == {
        item.prompt for item in train if item.form == "scene_thinking"
    }
    pictures = {picture.image: picture for picture in kit.split("train")}
    assert [prompt.reference for prompt in found] == list(pictures)
    assert all(
        prompt.reply == f"{pictures[prompt.reference].reply} {pictures[prompt.reference].caption}"
        for prompt in found
    )


def test_every_third_prompt_is_a_turn_until_they_run_out():
    plain, found = [Prompt(text=str(i)) for i in range(8)], [Prompt(text=word) for word in ("a", "b")]
    assert [prompt.text for prompt in with_turns(plain, found)] == ["0", "1", "a", "3", "4", "b", "6", "7"]
    assert [prompt.text for prompt in with_turns(plain, found[:1])] == ["0", "1", "a", *"34567"]
    assert with_turns(plain, []) == plain


@pytest.mark.parametrize("who", ["toon", "photographs"])
def test_validation_turns_are_not_trained_on(who, inputs, photographs):
    kit, train, test = read(inputs if who == "toon" else photographs)
    found = training_turns(kit, train, test)
    validation = with_turns(validation_prompts(kit, train, test, count=8, seed=0), found[::5])
    left = disjoint_turns(found, validation, domain_of(kit))
    assert [prompt.reply != "" for prompt in validation[:3]] == [False, False, True]
    assert 0 < len(left) < len(found) and validation[2] not in left
    assert not {prompt.reference for prompt in left} & {prompt.reference for prompt in validation} - {""}
    scenes = {scene_key(prompt.attributes) for prompt in validation} - {frozenset()}
    assert not {scene_key(prompt.attributes) for prompt in left} & scenes


def test_turns_are_trained_on_and_rewarded_only_with_a_weight(inputs, larger_base, tmp_path):
    kit, train, test = read(inputs)
    plain = Trainer(small_model(larger_base), grpo_job(tmp_path / "off", larger_base, inputs))
    validation = validation_prompts(kit, train, test, count=3, seed=0)
    assert plain.prompts == training_prompts(kit, train, test, validation=validation, count=9, seed=0)
    job = grpo_job(tmp_path / "on", larger_base, inputs, rounds=1, reward={"consistency_weight": 1.0})
    trained = Trainer(small_model(larger_base), job)
    assert [prompt.reply != "" for prompt in trained.prompts] == [False, False, True]
    assert {prompt.text for prompt in trained.prompts if prompt.reply} <= {
        prompt.text for prompt in training_turns(*read(inputs))
    }
    (numbers,) = train_rounds(job, exact=False)
    weights = {
        name: getattr(job.config.reward, f"{name}_weight")
        for name in numbers
        if hasattr(job.config.reward, f"{name}_weight")
    }
    assert weights.keys() == {"identity", "alignment", "diversity", "naturalness", "consistency"}
    assert (
        0 < numbers["consistency"] < 1 and {"held_out_consistency", "evaluator_consistency"} <= numbers.keys()
    )
    assert numbers["reward"] == pytest.approx(
        sum(weight * numbers[name] for name, weight in weights.items()), rel=1e-4
    )


def test_photographs_without_a_judge_that_reads_text_are_refused(photographs, tmp_path):
    settings = GrpoConfig(reward=RewardConfig(consistency_weight=0.5))
    with pytest.raises(
        ValueError,
        match=r"consistency_weight is 0.5, but no judge compares .*'photo'.*judges with clip or endpoint",
    ):
        run(make_job("grpo", tmp_path, photographs, config=settings))
