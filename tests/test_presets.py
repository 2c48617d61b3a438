"""Presets: named, resolved, and never with one network on both sides of the gate."""

from dataclasses import replace

import pytest

from unichar.errors import UserError
from unichar.judges.config import JudgesConfig
from unichar.presets import PRESETS, cpu, few_pictures, get_preset
from unichar.stages import STAGES


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_by_its_name_and_has_settings_for_every_stage(name: str) -> None:
    preset = get_preset(name)
    assert preset.name == name
    assert all(preset.config_of(stage) is not None for stage in STAGES[1:])


def test_a_wrong_name_is_answered_with_the_names() -> None:
    with pytest.raises(
        UserError, match="no preset 'huge'; the presets are smoke, cpu, cpu-1, cpu-3, cpu-5, bagel"
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
