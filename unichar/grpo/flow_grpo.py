"""Flow-GRPO, the paper's algorithm: clipped likelihood ratios of a stochastic sampler's steps (method: sections 3.2 and 3.3).

Unlike the paper's code, the window of stochastic steps starts somewhere else for every prompt and round (there: at one place a
GPU, for good), prompts are never cut, gradients are clipped, and pictures are sampled together, a part of the round at a time.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from unichar.grpo.advantages import group_advantages
from unichar.grpo.config import GrpoConfig
from unichar.grpo.loss import flow_grpo_loss, step_kl
from unichar.grpo.policy import Minibatch, Snapshot
from unichar.model.flow import Velocity, integrate_sde, sde_log_prob, sde_mean
from unichar.model.protocol import PromptContext, UnifiedModel
from unichar.training.seeds import python_rng


class FlowGrpo:
    """What is kept of a rollout: the steps of its window, with their likelihoods."""

    def __init__(
        self,
        model: UnifiedModel,
        config: GrpoConfig,
        *,
        live: dict[str, Tensor],
        reference: Snapshot,
        seed: int,
    ) -> None:
        self._model, self._config, self._reference, self._seed = model, config, reference, seed
        self.numbers = ("loss", "ratio_off", "clipped", *(["kl"] if config.flow_grpo.kl > 0 else []))
        """What `learn` tells."""
        self.modules: dict[str, nn.Module] = {}

    def policy(self) -> AbstractContextManager[None]:
        """The policy that learns samples too."""
        return nullcontext()

    def sample(
        self, context: PromptContext, seeds: Sequence[int], groups: Sequence[int]
    ) -> dict[str, Tensor]:
        """`x0` [B, C, h, w] and all of a `SdeTrajectory`. Pictures of one number in `groups` share a window, which that number decides."""
        config = self._config
        x0, walk = integrate_sde(
            self._velocity(context),
            self._model.start_noise(seeds),
            seeds=seeds,
            starts=torch.tensor([window_start(config, self._seed, group) for group in groups]),
            window=config.flow_grpo.window,
            level=config.flow_grpo.noise_level,
            steps=config.rollout.sample_steps,
            shift=config.rollout.shift,
        )
        return {"x0": x0, **vars(walk)}

    def advantages(self, rewards_pg: Tensor) -> Tensor:
        """[P, G] on the scale of each prompt."""
        return group_advantages(rewards_pg, clip=self._config.reward.advantage_clip, by_group=True)

    def learn(
        self,
        minibatch: Minibatch,
        part: Tensor,
        context: PromptContext,
        index: int,
        backward: Callable[[Tensor], None],
    ) -> dict[str, float]:
        """Gradients of optimizer step `index`: every stochastic step of every picture of `part`."""
        sums: dict[str, float] = {}
        for w in range(self._config.flow_grpo.window):
            loss, numbers = self._step_loss(minibatch, part, w, context)
            backward(loss * minibatch.share(part) / self._config.flow_grpo.window)
            for name, value in {"loss": loss.item(), **numbers}.items():
                sums[name] = sums.get(name, 0.0) + value / self._config.flow_grpo.window
        return minibatch.portion(sums, part)

    def _step_loss(
        self, minibatch: Minibatch, part: Tensor, w: int, context: PromptContext
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of the w-th stochastic step of each picture, and its parts."""
        rows = minibatch.rows[part]
        x, after, t, dt, s, before = (
            minibatch.kept[name][rows, w] for name in ("x", "next", "t", "dt", "s", "log_prob")
        )
        velocity, kl = self._velocity(context), self._config.flow_grpo.kl
        mean_ref = None
        if kl > 0:
            with (
                self._reference.swapped()
            ):  # before the pass that learns: weights must not change under its gradients
                mean_ref = sde_mean(x, velocity(x, t), t, dt, s)
        mean = sde_mean(x, velocity(x, t), t, dt, s)
        log_prob = sde_log_prob(after, mean, dt, s)
        loss, numbers = flow_grpo_loss(
            log_prob, before, minibatch.advantages[part], clip_range=self._config.flow_grpo.clip_range
        )
        if mean_ref is not None:
            drift = step_kl(mean, mean_ref, s).mean()
            loss, numbers = loss + kl * drift, numbers | {"kl": drift.item()}
        return loss, numbers

    def finish_round(self, steps: int) -> None:
        """Nothing is left to do."""

    def _velocity(self, context: PromptContext) -> Velocity:
        """The model's velocity, guided if asked for; gradients flow through both passes."""
        guidance = self._config.flow_grpo.guidance
        if guidance <= 1:
            return lambda x, t: self._model.velocity(x, t, context)
        nothing = self._model.prompt_context([""])

        def guided(x: Tensor, t: Tensor) -> Tensor:
            unconditional = self._model.velocity(x, t, nothing)
            return unconditional + guidance * (self._model.velocity(x, t, context) - unconditional)

        return guided


def window_start(config: GrpoConfig, seed: int, group: int) -> int:
    """The first stochastic step of a group, drawn evenly such that the window ends in the first half of the steps."""
    last = max(0, (config.rollout.sample_steps + 1) // 2 - config.flow_grpo.window)
    return python_rng(seed, "window", group).randint(0, last)
