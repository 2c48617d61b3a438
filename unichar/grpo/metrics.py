"""Numbers of the curve and of the stage's summary."""

from torch import Tensor

from unichar.grpo.config import GrpoConfig
from unichar.grpo.rubric import Rewards
from unichar.grpo.validation import Progress


def reward_metrics(rewards: Rewards, advantages: Tensor, *, clip: float) -> dict[str, float]:
    """Means of the reward terms [P, G], distributions of rewards and of advantages [N], which may be
    empty."""
    total = rewards.total
    numbers = {
        "reward": total.mean().item(),
        "reward_std": total.std(correction=0).item(),
        "reward_min": total.min().item(),
        "reward_max": total.max().item(),
    }

    # Every term before weighting, over all pictures, those of skipped groups included.
    numbers |= {name: term.mean().item() for name, term in rewards.terms.items()}

    # Empty where all groups were skipped; the curve then has no such numbers.
    if len(advantages):
        numbers |= {
            "advantage_std": advantages.std(correction=0).item(),
            "advantage_min": advantages.min().item(),
            "advantage_max": advantages.max().item(),
            "advantage_clipped": (advantages.abs() >= clip).float().mean().item(),
        }
    return numbers


def summary_of(rows: list[dict[str, float]], config: GrpoConfig, progress: Progress) -> dict[str, float]:
    """The stage's summary, from the rows of its curve.

    Returns:
        Mean rewards of the first and the last quarter of the rounds, validation rewards of the SFT model and
        of the last round, which round's adapters were kept, and counts.
    """
    # Quarters, since the rewards of one round depend on its prompts.
    quarter = max(1, len(rows) // 4)

    # The row of the first round always has validation rewards, so the list is not empty.
    validated = [row for row in rows if "held_out_reward" in row]

    return {
        # Rewards: of training prompts, then of validation prompts, which are the ones to go by.
        "reward_first": _mean(rows[:quarter], "reward"),
        "reward_last": _mean(rows[-quarter:], "reward"),
        "held_out_reward_first": progress.start_reward.item(),
        "held_out_reward_last": validated[-1]["held_out_reward"],
        # 0 means that the SFT model's own adapters were kept.
        "kept_round": progress.best_round.item() if config.validation.keep == "best" else len(rows),
        "stopped_early": int(progress.stopped),
        # Counts of what was done, which a stopped run has fewer of than its settings say.
        "rounds": len(rows),
        "optimizer_steps": int(progress.steps),
        "skipped_groups": int(progress.skipped),
        "pictures": len(rows) * config.rollout.prompts * config.rollout.group,
    }


def _mean(rows: list[dict[str, float]], name: str) -> float:
    return sum(row[name] for row in rows) / len(rows)
