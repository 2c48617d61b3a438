"""Flow-GRPO (arXiv:2505.05470), the paper's algorithm: clipped likelihood ratios of stochastic steps.

Unlike in the paper's code, the window of stochastic steps starts at another step for every prompt and round
(there: at one step per GPU for the whole run), prompts are never truncated, gradients are clipped, and
pictures are sampled in batches.
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
from unichar.training.scalars import add_scalar, device_of
from unichar.training.seeds import python_rng


class FlowGrpo:
    """Flow-GRPO on one model. A rollout records the W stochastic steps of its window."""

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
        self.metrics = ("loss", "ratio_off", "clipped", *(["kl"] if config.flow_grpo.kl > 0 else []))
        """Names of the numbers that `accumulate_gradients` returns."""

        # Nothing to save: the trained policy itself samples, so `modules` is empty.
        self.modules: dict[str, nn.Module] = {}

    def sampling_policy(self) -> AbstractContextManager[None]:
        """A context without effect: the trained policy samples."""
        return nullcontext()

    def sample(
        self, context: PromptContext, seeds: Sequence[int], groups: Sequence[int]
    ) -> dict[str, Tensor]:
        """`x0` [B, C, h, w] and the fields of an `SdeTrajectory` [B, W, ...] for B seeds.

        Pictures with the same number in `groups` have the same window, which that number determines.
        """
        rollout, config = self._config.rollout, self._config.flow_grpo

        # One window per group, so that pictures of a prompt differ by their noise alone.
        starts = torch.tensor([window_start(self._config, self._seed, group) for group in groups])  # [B]

        # Noise inside the window makes steps random, so that they have likelihoods; outside it is an ODE.
        x0, trajectory = integrate_sde(
            self._velocity(context),
            self._model.start_noise(seeds),
            seeds=seeds,
            starts=starts,
            window=config.window,
            level=config.noise_level,
            steps=rollout.sample_steps,
            shift=rollout.shift,
        )

        return {"x0": x0, **vars(trajectory)}

    def advantages(self, rewards_pg: Tensor) -> Tensor:
        """[P, G] advantages, normalized by the std of each prompt."""
        return group_advantages(rewards_pg, clip=self._config.reward.advantage_clip, by_group=True)

    def accumulate_gradients(
        self,
        minibatch: Minibatch,
        microbatch: Tensor,
        context: PromptContext,
        index: int,
        backward: Callable[[Tensor], None],
    ) -> dict[str, Tensor]:
        """Run `backward` on the losses of one microbatch: each of the W stochastic steps of its pictures.

        See `Nft.accumulate_gradients` for the arguments; `index` is not needed.
        """
        window = self._config.flow_grpo.window
        sums: dict[str, Tensor] = {}

        # One backward pass per step: the graph of one velocity at a time is kept.
        for w in range(window):
            loss, numbers = self._step_loss(minibatch, microbatch, w, context)

            # Weighted so that gradients sum to those of the mean over minibatch and window.
            backward(loss * minibatch.fraction(microbatch) / window)
            for name, value in {"loss": loss, **numbers}.items():
                add_scalar(sums, name, value.double() / window)
        return minibatch.weighted(sums, microbatch)

    def _step_loss(
        self, minibatch: Minibatch, microbatch: Tensor, w: int, context: PromptContext
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of the w-th stochastic step of each of M pictures."""
        config, device = self._config.flow_grpo, device_of(self._model.gen)
        pictures = minibatch.indices[microbatch]  # [M]

        def recorded(name: str) -> Tensor:
            return minibatch.rollout[name][pictures, w].to(device)

        # The step as it was sampled; its time, length and noise are constants of the objective.
        x, following = recorded("x"), recorded("next")  # [M, C, h, w] before and after the step
        t, dt, s = recorded("t"), recorded("dt"), recorded("s")  # [M] time, step length, noise scale
        velocity = self._velocity(context)

        # Swapped weights come first: they must not change between a forward pass and its gradients.
        mean_ref = None
        if config.kl > 0:
            with self._reference.swapped():
                mean_ref = sde_mean(x, velocity(x, t), t, dt, s)

        # The same step under the trained policy, with gradients.
        mean = sde_mean(x, velocity(x, t), t, dt, s)  # [M, C, h, w]
        log_prob = sde_log_prob(following, mean, dt, s)  # [M]

        loss, numbers = flow_grpo_loss(
            log_prob,
            recorded("log_prob"),
            minibatch.advantages[microbatch].to(device),
            clip_range=config.clip_range,
        )

        if mean_ref is not None:
            divergence = step_kl(mean, mean_ref, s).mean()
            loss, numbers = loss + config.kl * divergence, numbers | {"kl": divergence.detach()}
        return loss, numbers

    def finish_round(self, steps: int) -> None:
        """No effect: the trained policy samples."""

    def _velocity(self, context: PromptContext) -> Velocity:
        """The model's velocity with classifier-free guidance; gradients flow through both passes."""
        guidance = self._config.flow_grpo.guidance
        if guidance <= 1:
            return lambda x, t: self._model.velocity(x, t, context)

        # The unconditional branch reads an empty prompt; guidance extrapolates from it.
        with torch.no_grad():
            empty = self._model.prompt_context([""])

        def guided(x: Tensor, t: Tensor) -> Tensor:
            unconditional = self._model.velocity(x, t, empty)
            return unconditional + guidance * (self._model.velocity(x, t, context) - unconditional)

        return guided


def window_start(config: GrpoConfig, seed: int, group: int) -> int:
    """Index of the first stochastic step of a group, uniform over windows in the first half of the steps."""
    # The first half decides what a picture shows. At least 0, where the window is longer than that.
    last = max(0, (config.rollout.sample_steps + 1) // 2 - config.flow_grpo.window)
    # The group's number counts over the whole run, so windows move from round to round.
    return python_rng(seed, "window", group).randint(0, last)
