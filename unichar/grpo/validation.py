"""Watching: is it getting better in the eyes of a network that no reward comes from? Stops training, chooses the result.

The evaluator is the network behind the reports' metrics (the examiner for toons, EfficientNet for photographs: there is no
third one of either kind). A checkpoint chosen by it is chosen to please it, so on the *watched* prompts its marks are too good;
reports ask for other scenes, which neither practice nor watching has met. For photographs watching has training scenes only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unichar.grpo.config import GrpoConfig
from unichar.grpo.policy import Snapshot
from unichar.grpo.rubric import Drawn, Rubric, all_gather_rewards
from unichar.model.protocol import UnifiedModel
from unichar.training.microbatches import all_gather_rows, shares
from unichar.training.seeds import derive
from unichar.types import Prompt


class Progress(nn.Module):
    """Counters and marks that a resumed run goes on from, kept as buffers so that they are saved with the training state."""

    steps: Tensor
    """Optimizer steps so far."""
    skipped: Tensor
    """Groups so far whose rewards were all the same."""
    start_identity: Tensor
    """The evaluator's identity of the SFT model."""
    start_reward: Tensor
    """The reward of the SFT model on watched prompts."""
    best_score: Tensor
    """The evaluator's mark of the best policy so far."""
    best_round: Tensor
    """Rounds that it had learned."""
    stopped: Tensor
    """Whether identity has fallen too far."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("steps", "skipped", "best_round"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))
        for name in ("start_identity", "start_reward"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.register_buffer("best_score", torch.full((), float("-inf"), dtype=torch.float64))
        self.register_buffer("stopped", torch.zeros((), dtype=torch.bool))


class Validation:
    """Draws the watched prompts with the policy that learns, always from the same noise, and has them judged by both eyes."""

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
        self.best, self.progress = Snapshot(live), Progress()

    def look(self, rounds: int) -> dict[str, float]:
        """Judge the policy after `rounds` rounds; remember it if it is the best so far, stop if identity has gone.

        Processes share the prompts, and all of them know what each has seen.

        Returns:
            `held_out_<part>` as the reward sees it, `evaluator_<part>` as the evaluator does; the latter's `likeness` is what
            may not fall, and its `score` what the best is chosen by.
        """
        rows = shares(len(self._prompts), 1, even=True)[0]
        count, prompts, group = (
            len(self._prompts),
            [self._prompts[row.place] for row in rows],
            self._config.validation.group,
        )
        drawn, scorers = self._draw(prompts), self._evaluator.scorers
        found = (rubric.score(drawn, prompts) for rubric in (self._rubric, self._evaluator))
        rewards, marks = (all_gather_rewards(rows, [some], count) for some in found)
        likeness = scorers.likeness(drawn.pixels)
        copying = scorers.copying(drawn.pixels, [prompt for prompt in prompts for _ in range(group)])
        numbers = {f"held_out_{name}": part.mean().item() for name, part in rewards.parts.items()}
        numbers |= {f"evaluator_{name}": part.mean().item() for name, part in marks.parts.items()}
        numbers |= {
            "held_out_reward": rewards.total.mean().item(),
            "evaluator_score": marks.total.mean().item(),
        }
        for name, values in (("likeness", likeness), ("copying", copying)):
            numbers[f"evaluator_{name}"] = (
                all_gather_rows(rows, values.view(len(rows), -1), count).mean().item()
            )
        self._remember(rounds, numbers)
        return numbers

    def _remember(self, rounds: int, numbers: dict[str, float]) -> None:
        progress = self.progress
        if rounds == 0:
            progress.start_identity.fill_(numbers["evaluator_likeness"])
            progress.start_reward.fill_(numbers["held_out_reward"])
        drop = progress.start_identity.item() - numbers["evaluator_likeness"]
        if not drop <= self._config.validation.max_identity_drop:  # as well when it is no number
            progress.stopped.fill_(True)
        elif numbers["evaluator_score"] > progress.best_score.item():
            progress.best_score.fill_(numbers["evaluator_score"])
            progress.best_round.fill_(rounds)
            self.best.follow(0.0)

    @torch.no_grad()
    def _draw(self, prompts: Sequence[Prompt]) -> Drawn:
        config = self._config
        context = self._model.prompt_context([prompt.text for prompt in prompts])
        seeds = [
            derive(self._seed, "watch", prompt.text, g)
            for prompt in prompts
            for g in range(config.validation.group)
        ]
        latents = self._model.sample_latents(
            context,
            seeds,
            steps=config.rollout.sample_steps,
            guidance=config.validation.guidance,
            shift=config.rollout.shift,
        )
        return Drawn(latents=latents, pixels=self._model.decode_latents(latents))
