"""DiffusionNFT against Flow-GRPO: time until the validation reward reaches the best that Flow-GRPO gets.

    python benchmarks/grpo_algorithms.py [--rounds 4]

Both start from the same tuned character, train on the same prompts with the same reward, pictures, sampling
steps, optimizer and learning rate, and are validated on the same prompts and noise after every round.
Flow-GRPO runs as in the paper (three stochastic steps, no KL) but for guidance, which would double its cost;
DiffusionNFT runs with the preset's settings, for no longer than Flow-GRPO took. Seconds are those of RL steps
alone. When DiffusionNFT does not get there, its whole time counts, so that the ratio is 1 at least.
"""

import argparse
import dataclasses
import sys

from report import measured, say, seconds
from rollout import tuned_job

from unichar.grpo.config import GrpoConfig, RewardConfig, ValidationConfig
from unichar.grpo.train import Trainer
from unichar.model.load import load_model
from unichar.types import StageJob


def main() -> None:
    """Measure both and compare."""
    parser = argparse.ArgumentParser(description="DiffusionNFT against Flow-GRPO")
    parser.add_argument("--rounds", type=int, default=4, help="rounds that each gets")
    parser.add_argument("--character", default="mochi")
    options = parser.parse_args()

    config = GrpoConfig(rounds=options.rounds, validation=ValidationConfig(max_identity_drop=1.0))
    job = tuned_job(config, character=options.character)
    flow = dataclasses.replace(config, algorithm="flow_grpo", reward=RewardConfig(advantage_clip=5.0))

    slow = curve(dataclasses.replace(job, config=flow), limit=float("inf"))
    best_at, best = max(slow, key=lambda point: point[1])
    quick = curve(job, limit=slow[-1][0])
    reached = [spent for spent, reward in quick if reward >= best]

    measured("held-out reward of SFT", slow[0][1], unit="points", n=1)
    measured("best held-out reward, flow_grpo", best, unit="points", n=1)
    best_quick = max(reward for _, reward in quick)
    measured("best held-out reward, nft, same seconds", best_quick, unit="points", n=1)
    if best_at == 0:
        raise SystemExit(
            "flow_grpo never got better than SFT: there is nothing to reach; give it more --rounds"
        )
    ratio = reached[0] / best_at if reached else slow[-1][0] / best_at
    measured("seconds of nft to flow_grpo's best held-out reward", ratio, goal=1 / 3, better="lower", n=1)


def curve(job: StageJob, *, limit: float) -> list[tuple[float, float]]:
    """(seconds of RL steps, validation reward) before training and after every round, until `limit`
    seconds."""
    model = load_model(job.base, job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    trainer = Trainer(model, job)

    points = [(0.0, trainer.validation.validate(0)["held_out_reward"])]
    for index in range(job.config.rounds):
        spent = points[-1][0] + seconds(lambda i=index: trainer.rl_step(i))
        numbers = trainer.validation.validate(index + 1)
        points.append((spent, numbers["held_out_reward"]))

        names = [f"held_out_{term}" for term in ("identity", "alignment", "diversity", "naturalness")]
        names += ["evaluator_likeness", "evaluator_alignment"]
        shown = " ".join(f"{name} {numbers[name]:.3f}" for name in names)
        say(f"{job.config.algorithm} {index + 1} rounds, {spent:.0f} s: reward {points[-1][1]:.4f} {shown}")
        if spent > limit:
            break
    return points


if __name__ == "__main__":
    sys.exit(main())
