"""Presets: named, resolved, and never with one network on both sides of the gate."""

from dataclasses import replace

import pytest

from unichar.errors import UserError
from unichar.judges.config import JudgesConfig
from unichar.presets import PRESETS, cpu, few_pictures, get_preset
from unichar.stages import STAGES
from unichar.types import LoadConfig


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_by_its_name_and_has_settings_for_every_stage(name: str) -> None:
    preset = get_preset(name)
    assert preset.name == name
    assert all(preset.config_of(stage) is not None for stage in STAGES[1:])


def test_a_wrong_name_is_answered_with_the_names() -> None:
    with pytest.raises(
        UserError,
        match="no preset 'huge'; the presets are smoke, cpu, cpu-1, cpu-3, cpu-5, bagel, bagel-24gb",
    ):
        get_preset("huge")


def test_only_smoke_is_never_promoted() -> None:
    assert [name for name in PRESETS if not get_preset(name).promotes] == ["smoke"]


def test_fewer_pictures_change_nothing_else() -> None:
    few, all_pictures = few_pictures(3), cpu()
    assert few.sft.images == 3
    assert replace(few, name="cpu", sft=all_pictures.sft) == all_pictures


def test_a_network_that_gives_rewards_may_not_judge_the_report() -> None:
    preset, judges = cpu(), JudgesConfig(dino="a/network")
    reward = replace(preset.grpo.reward, judges=judges)
    with pytest.raises(UserError, match=r"the preset cpu lets .* both give rewards and judge the report"):
        replace(
            preset,
            grpo=replace(preset.grpo, reward=reward),
            evaluation=replace(preset.evaluation, judges=judges),
        )


def test_one_card_of_24_gb_changes_how_the_model_is_loaded_and_how_large_pictures_are() -> None:
    preset = get_preset("bagel-24gb")
    assert (preset.load, preset.kit.size) == (LoadConfig(quantize="nf4", image_size=512), 512)
    assert get_preset("bagel").load == LoadConfig()


def test_pictures_are_prepared_in_the_size_that_the_model_is_loaded_for() -> None:
    with pytest.raises(UserError, match=r"pictures of 512 pixels .* model of 256 .*expected the same"):
        replace(get_preset("bagel-24gb"), load=LoadConfig(image_size=256))


def test_nano_is_loaded_in_one_way() -> None:
    with pytest.raises(UserError, match="the preset cpu sets `load` for nano"):
        replace(cpu(), load=LoadConfig(quantize="nf4"))


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_validation_draws_as_the_report_does(stage: str) -> None:
    preset = cpu()
    config = getattr(preset, stage)
    other = replace(config, validation=replace(config.validation, guidance=4.0))
    with pytest.raises(UserError, match=rf"validates {stage} with .* expected {stage}.validation to have"):
        replace(preset, **{stage: other})


def test_bagel_leaves_its_microbatches_to_the_card() -> None:
    for name in ("bagel", "bagel-24gb"):
        preset = get_preset(name)
        assert preset.sft.microbatches == preset.grpo.rollout.microbatches == 0
    assert cpu().sft.microbatches == cpu().grpo.rollout.microbatches == 1


@pytest.mark.parametrize("name", ["bagel", "bagel-24gb"])
def test_bagel_is_validated_while_it_trains_with_the_steps_of_its_report(name: str) -> None:
    preset = get_preset(name)
    for validation in (preset.sft.validation, preset.grpo.validation):
        assert validation.every > 0 and validation.sample_steps == preset.evaluation.sample_steps
