"""Validation during GRPO by an independent evaluator: it stops training that loses the character and selects
the checkpoint.

The evaluator is the network behind the reports' metrics, which gives no reward. A checkpoint selected by it
is selected to score well on the validation prompts, so its scores there are optimistic; reports ask for other
scenes. For photographs the scenes of the validation prompts are all known from training.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unichar.grpo.config import GrpoConfig
from unichar.grpo.policy import Snapshot
from unichar.grpo.rollout import encode_everywhere, is_sharded
from unichar.grpo.rubric import Drawn, Rubric, all_gather_rewards
from unichar.model.protocol import UnifiedModel
from unichar.training.microbatches import all_gather_samples, rank_microbatches
from unichar.training.seeds import derive
from unichar.types import Prompt


class Progress(nn.Module):
    """Counters and scores of the run so far, kept as buffers so that they are saved with the training
    state."""

    steps: Tensor
    """Optimizer steps."""
    skipped: Tensor
    """Groups without reward variance."""
    start_identity: Tensor
    """The evaluator's identity of the SFT model."""
    start_reward: Tensor
    """Reward of the SFT model on the validation prompts."""
    best_score: Tensor
    """Highest score by the evaluator."""
    best_round: Tensor
    """Rounds trained when it was reached."""
    stopped: Tensor
    """Whether identity has fallen too far."""

    def __init__(self) -> None:
        super().__init__()

        # Plain scalars; fp64, so that comparisons after a resumption see the very same numbers.
        for name in ("steps", "skipped", "best_round"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        for name in ("start_identity", "start_reward"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.register_buffer("best_score", torch.full((), float("-inf"), dtype=torch.float64))
        self.register_buffer("stopped", torch.zeros((), dtype=torch.bool))


class Validation:
    """Samples the validation prompts with the trained policy, always from the same noise, and scores them by
    both rubrics."""

    def __init__(
        self,
        model: UnifiedModel,
        prompts: Sequence[Prompt],
        *,
        rubric: Rubric,
        evaluator: Rubric,
        live: dict[str, Tensor],
        config: GrpoConfig,
        seed: int,
    ) -> None:
        self._model, self._prompts, self._config = model, prompts, config
        self._rubric, self._evaluator = rubric, evaluator
        self._seed = seed

        # Both are part of the training state: a resumed run knows the best policy and its score.
        self.best, self.progress = Snapshot(live), Progress()

    def validate(self, rounds: int) -> dict[str, float]:
        """Score the policy after `rounds` rounds; remember it if it is the best so far, stop if identity has
        fallen.

        Returns:
            See `measure`. `evaluator_likeness` may not fall, and `evaluator_score` selects the checkpoint.
        """
        numbers = self.measure()
        self._update_best(rounds, numbers)
        return numbers

    def measure(self) -> dict[str, float]:
        """Scores of the policy as it is: `held_out_<term>` by the reward's rubric and `evaluator_<term>` by
        the evaluator's.

        Prompts are sharded over ranks and results are all-gathered.
        """
        # Prompts of this rank, padded so that all ranks take part in every collective call.
        count = len(self._prompts)
        samples = rank_microbatches(count, 1, pad=True)[0]
        prompts = [self._prompts[sample.index] for sample in samples]
        drawn = self._draw(prompts)

        # One set of pictures, two rubrics: rewards may rise while the evaluator's scores fall.
        rewards = all_gather_rewards(samples, [self._rubric.score(drawn, prompts)], count)
        scores = all_gather_rewards(samples, [self._evaluator.score(drawn, prompts)], count)

        # Beside the evaluator's terms: likeness decides on stopping, copying is for the curve.
        each = [prompt for prompt in prompts for _ in range(self._config.validation.group)]
        likeness = self._evaluator.scorers.likeness(drawn.pixels)  # [B]
        copying = self._evaluator.scorers.copying(drawn.pixels, each)  # [B]

        # Means over all prompts of all ranks, the same on every rank.
        numbers = {f"held_out_{name}": term.mean().item() for name, term in rewards.terms.items()}
        numbers |= {f"evaluator_{name}": term.mean().item() for name, term in scores.terms.items()}
        numbers["held_out_reward"] = rewards.total.mean().item()
        numbers["evaluator_score"] = scores.total.mean().item()
        for name, values in (("likeness", likeness), ("copying", copying)):
            groups = values.view(len(samples), -1)  # [prompts of this rank, G]
            numbers[f"evaluator_{name}"] = all_gather_samples(samples, groups, count).mean().item()
        return numbers

    def has_lost_identity(self, likeness: float) -> bool:
        """Whether the evaluator's likeness has fallen too far below that of the SFT model."""
        drop = self.progress.start_identity.item() - likeness

        # Negated, so that a NaN counts as lost.
        return not drop <= self._config.validation.max_identity_drop

    def _update_best(self, rounds: int, numbers: dict[str, float]) -> None:
        progress = self.progress

        # Before the first round: the SFT model, which later rounds are measured against.
        if rounds == 0:
            progress.start_identity.fill_(numbers["evaluator_likeness"])
            progress.start_reward.fill_(numbers["held_out_reward"])

        if self.has_lost_identity(numbers["evaluator_likeness"]):
            progress.stopped.fill_(True)
        elif numbers["evaluator_score"] > progress.best_score.item():
            progress.best_score.fill_(numbers["evaluator_score"])
            progress.best_round.fill_(rounds)
            # Decay 0 copies the trained policy.
            self.best.ema_update(0.0)

    @torch.no_grad()
    def _draw(self, prompts: Sequence[Prompt]) -> Drawn:
        """`validation.group` pictures of each prompt, those of a prompt together."""
        config = self._config.validation
        if is_sharded(self._config):
            encode_everywhere(self._model, [prompt.text for prompt in self._prompts])
        context = self._model.prompt_context([prompt.text for prompt in prompts])

        # The same noise in every round, so that scores differ by the training alone.
        seeds = []
        for prompt in prompts:
            seeds += [derive(self._seed, "watch", prompt.text, g) for g in range(config.group)]

        latents = self._model.sample_latents(
            context, seeds, steps=config.sample_steps, guidance=config.guidance, shift=config.shift
        )  # [B, C, h, w]
        return Drawn(latents=latents, pixels=self._model.decode_latents(latents))
