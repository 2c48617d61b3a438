"""What rewards cost: seconds of scoring over seconds of whole RL steps (sample, score, train) with the preset
`cpu`.

    python benchmarks/reward_share.py

All terms of the reward are computed: identity, alignment, diversity, naturalness. Validation is left out.
"""

import statistics
import sys
import time
from collections.abc import Sequence

from report import measured, say
from rollout import tuned_job

from unichar.grpo.config import GrpoConfig
from unichar.grpo.rubric import Drawn, Rewards, Rubric
from unichar.grpo.train import Trainer
from unichar.model.load import load_model
from unichar.types import Prompt

ROUNDS = 5


class Timed:
    """A rubric that sums up the seconds of its scores."""

    def __init__(self, rubric: Rubric) -> None:
        self._rubric, self.seconds = rubric, 0.0

    def score(self, drawn: Drawn, prompts: Sequence[Prompt]) -> Rewards:
        began = time.perf_counter()
        rewards = self._rubric.score(drawn, prompts)
        self.seconds += time.perf_counter() - began
        return rewards


def main() -> None:
    """Measure a few rounds after one for warm-up."""
    job = tuned_job(GrpoConfig(rounds=ROUNDS + 1), steps=3)
    model = load_model(job.base, job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    trainer = Trainer(model, job)

    clock = Timed(trainer.rubric)
    trainer.rubric = clock  # type: ignore[assignment]
    trainer.rl_step(0)

    fractions = []
    for index in range(1, ROUNDS + 1):
        clock.seconds, began = 0.0, time.perf_counter()
        trainer.rl_step(index)
        whole = time.perf_counter() - began
        fractions.append(clock.seconds / whole)
        say(f"round {index}: {clock.seconds:.2f} s of {whole:.2f} s")

    value = statistics.median(fractions)
    measured("reward seconds over round seconds", value, goal=0.15, better="lower", n=ROUNDS)


if __name__ == "__main__":
    sys.exit(main())
