"""Numbers of curve and summary."""

import pytest
import torch

from unichar.grpo.config import GrpoConfig, RolloutConfig, ValidationConfig
from unichar.grpo.metrics import reward_metrics, summary_of
from unichar.grpo.rubric import Rewards
from unichar.grpo.validation import Progress

REWARDS = Rewards(
    total=torch.tensor([[1.0, 3.0], [2.0, 2.0]]), terms={"identity": torch.tensor([[0.5, 1.0], [0.0, 0.5]])}
)


def test_rewards_and_advantages_are_summed_up():
    numbers = reward_metrics(REWARDS, torch.tensor([-2.0, 0.0, 2.0, 1.0]), clip=2.0)
    assert numbers["identity"] == 0.5
    assert (numbers["reward"], numbers["reward_min"], numbers["reward_max"]) == (2.0, 1.0, 3.0)
    assert numbers["reward_std"] == pytest.approx(0.5**0.5)
    assert (numbers["advantage_min"], numbers["advantage_max"], numbers["advantage_clipped"]) == (
        -2.0,
        2.0,
        0.5,
    )


def test_a_round_without_advantages_has_none_on_the_curve():
    numbers = reward_metrics(REWARDS, torch.zeros(0), clip=2.0)
    assert "reward" in numbers and not [name for name in numbers if name.startswith("advantage")]


@pytest.mark.parametrize(("keep", "kept_round"), [("best", 3), ("last", 8)])
def test_the_summary_compares_the_first_quarter_with_the_last(keep, kept_round):
    rows = [{"reward": float(i)} for i in range(8)]
    rows[1]["held_out_reward"], rows[7]["held_out_reward"] = 5.0, 6.0
    progress = Progress()
    progress.start_reward.fill_(4.5)
    progress.best_round.fill_(3)
    progress.steps.fill_(16)
    config = GrpoConfig(rollout=RolloutConfig(prompts=2, group=3), validation=ValidationConfig(keep=keep))

    summary = summary_of(rows, config, progress)
    assert (summary["reward_first"], summary["reward_last"]) == (0.5, 6.5)
    assert (summary["held_out_reward_first"], summary["held_out_reward_last"]) == (4.5, 6.0)
    assert summary["kept_round"] == kept_round and summary["pictures"] == 8 * 2 * 3
    assert (summary["rounds"], summary["optimizer_steps"], summary["stopped_early"]) == (8, 16, 0)
