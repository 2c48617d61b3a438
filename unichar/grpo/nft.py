"""DiffusionNFT: reinforcement on the forward process (arXiv:2509.16117, section 4).

It takes any sampler, needs clean pictures only and no guidance (`rollout.guidance` is an option: what is
learned is the policy without guidance in any case). Pictures are sampled by an EMA of the trained
policy, which is updated after each round.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from unichar.grpo.advantages import group_advantages, optimality
from unichar.grpo.config import GrpoConfig
from unichar.grpo.loss import nft_loss
from unichar.grpo.policy import Minibatch, Snapshot
from unichar.model.flow import add_noise, time_grid
from unichar.model.protocol import PromptContext, UnifiedModel
from unichar.training.scalars import add_scalar, device_of
from unichar.training.seeds import torch_rng

_MAX_EMA_DECAY = 0.5
"""Bound of the published code: the sampling policy moves at least half the way to the trained one."""


class Nft:
    """DiffusionNFT on one model. A rollout records the clean latents `x0`."""

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
        self.metrics = ("loss", "policy", *(["kl"] if config.nft.kl > 0 else []))
        """Names of the numbers that `accumulate_gradients` returns."""

        # The sampling policy starts as the SFT model; it is saved with the training state.
        self.old = Snapshot(live)
        self.modules: dict[str, nn.Module] = {"old": self.old}

    def sampling_policy(self) -> AbstractContextManager[None]:
        """Context in which the model samples with the EMA policy."""
        return self.old.swapped()

    def sample(
        self, context: PromptContext, seeds: Sequence[int], groups: Sequence[int]
    ) -> dict[str, Tensor]:
        """`x0` [B, C, h, w] for B seeds; `groups` is not needed."""
        # The clean latents are all that is trained on, so any sampler will do, with guidance or without.
        rollout = self._config.rollout

        # Merging changes rounding alone. Flow-GRPO does without: its ratios compare sampling with training.
        with self._model.merged_pictures():
            x0 = self._model.sample_latents(
                context, seeds, steps=rollout.sample_steps, guidance=rollout.guidance, shift=rollout.shift
            )  # [B, C, h, w]

        return {"x0": x0}

    def advantages(self, rewards_pg: Tensor) -> Tensor:
        """[P, G] advantages, normalized by the std of the whole round."""
        return group_advantages(rewards_pg, clip=self._config.reward.advantage_clip)

    def accumulate_gradients(
        self,
        minibatch: Minibatch,
        microbatch: Tensor,
        context: PromptContext,
        index: int,
        backward: Callable[[Tensor], None],
    ) -> dict[str, Tensor]:
        """Run `backward` on the losses of one microbatch: each picture at `nft.times` times.

        Args:
            minibatch: The pictures of the optimizer step.
            microbatch: [M] positions within the minibatch.
            context: Prompts of these M pictures.
            index: Optimizer step since the start of the run.
            backward: Called with each loss, already weighted so that gradients sum to those of the
                minibatch's mean.

        Returns:
            Metrics, weighted in the same way: scalars that stay on the model's device.
        """
        config, device = self._config.nft, device_of(self._model.gen)
        scale = self._config.reward.advantage_clip

        # Clean latents, and how good each picture is among those of its prompt: 0 worst, 1 best.
        x0 = minibatch.rollout["x0"][minibatch.indices[microbatch]].to(device)  # [M, C, h, w]
        r = optimality(minibatch.advantages[microbatch], clip=scale).to(device)  # [M]

        # Noise is drawn for the whole minibatch and indexed here, so microbatches do not change it.
        sums: dict[str, Tensor] = {}
        for times, noise in self._times_and_noise(minibatch, index):
            t = times[microbatch].to(device)  # [M]
            x_t = add_noise(x0, noise[microbatch].to(device), t)  # [M, C, h, w]

            # Swapped weights come first: they must not change between a forward pass and its gradients.
            with self.old.swapped():
                v_old = self._model.velocity(x_t, t, context)

            # Only with a weight, since it costs a forward pass.
            v_ref = None
            if config.kl > 0:
                with self._reference.swapped():
                    v_ref = self._model.velocity(x_t, t, context)

            # The trained policy, the only pass with gradients.
            v = self._model.velocity(x_t, t, context)  # [M, C, h, w]

            loss, numbers = nft_loss(
                v, v_old, v_ref, x0=x0, x_t=x_t, t=t, r=r, beta=config.beta, kl=config.kl, scale=scale
            )

            # One backward pass per time: the graph of one velocity at a time is kept.
            backward(loss * minibatch.fraction(microbatch) / config.times)
            for name, value in minibatch.weighted({"loss": loss.detach(), **numbers}, microbatch).items():
                add_scalar(sums, name, value / config.times)
        return sums

    def _times_and_noise(self, minibatch: Minibatch, index: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(times [N], noise [N, C, h, w]) of the whole minibatch, `nft.times` times.

        Every rank draws the same. Pictures of a prompt get the same: what they have in common cancels between
        advantages that sum to 0, and so does most of the noise. Each pass takes other times, from the first
        half of the sampler's grid: the second half only adds detail.
        """
        rollout = self._config.rollout
        shape = minibatch.rollout["x0"].shape[1:]  # [C, h, w]

        # A function of seed and optimizer step: a resumed run draws the same.
        generator = torch_rng(self._seed, "grpo-noise", index)
        grid = time_grid(rollout.sample_steps, rollout.shift)[: (rollout.sample_steps + 1) // 2]  # [T]

        # For all prompts of a round, so that skipped groups do not shift the random numbers of the others.
        orders = [torch.randperm(len(grid), generator=generator) for _ in range(rollout.prompts)]
        order = torch.stack(orders)  # [P, T]

        # Prompt of each picture, since the G pictures of a prompt are adjacent in the round.
        prompts = minibatch.indices // rollout.group  # [N]

        # A permutation per prompt, so the times of a picture differ as long as there are unused ones.
        for turn in range(self._config.nft.times):
            noise = torch.randn((rollout.prompts, *shape), generator=generator)  # [P, C, h, w]
            yield grid[order[prompts, turn % len(grid)]], noise[prompts]

    def finish_round(self, steps: int) -> None:
        """EMA update of the sampling policy after `steps` optimizer steps since the start of the run."""
        # The decay grows with the steps up to its bound; with decay 0 the sampling policy becomes a copy.
        self.old.ema_update(min(self._config.nft.ema_decay_per_step * steps, _MAX_EMA_DECAY))
