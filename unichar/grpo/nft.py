"""DiffusionNFT: reinforce on the forward process (method: section 4). Any sampler, clean pictures only, no guidance.

An old policy samples; after each round it moves toward the one that learns, the more slowly the more steps have been taken.
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
from unichar.training.seeds import torch_rng


class Nft:
    """What is kept of a rollout: its clean latents."""

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
        self.numbers = ("loss", "policy", *(["kl"] if config.nft.kl > 0 else []))
        """What `learn` tells."""
        self.old = Snapshot(live)
        self.modules: dict[str, nn.Module] = {"old": self.old}

    def policy(self) -> AbstractContextManager[None]:
        """The old policy."""
        return self.old.swapped()

    def sample(
        self, context: PromptContext, seeds: Sequence[int], groups: Sequence[int]
    ) -> dict[str, Tensor]:
        """`x0` [B, C, h, w]."""
        config = self._config
        return {
            "x0": self._model.sample_latents(
                context, seeds, steps=config.rollout.sample_steps, guidance=1.0, shift=config.rollout.shift
            )
        }

    def advantages(self, rewards_pg: Tensor) -> Tensor:
        """[P, G] on the scale of the whole round."""
        return group_advantages(rewards_pg, clip=self._config.reward.advantage_clip)

    def learn(
        self,
        minibatch: Minibatch,
        part: Tensor,
        context: PromptContext,
        index: int,
        backward: Callable[[Tensor], None],
    ) -> dict[str, float]:
        """Gradients of optimizer step `index`: every picture of `part` at `times` of the sampler's own times."""
        config = self._config
        x0, r = (
            minibatch.kept["x0"][minibatch.rows[part]],
            optimality(minibatch.advantages[part], clip=config.reward.advantage_clip),
        )
        sums = dict.fromkeys(self.numbers, 0.0)
        for times, noise in self._noised(minibatch, index):
            t = times[part]
            x_t = add_noise(x0, noise[part], t)
            with self.old.swapped():
                v_old = self._model.velocity(x_t, t, context)
            v_ref = None
            if config.nft.kl > 0:
                with (
                    self._reference.swapped()
                ):  # before the pass that learns: weights must not change under its gradients
                    v_ref = self._model.velocity(x_t, t, context)
            v = self._model.velocity(x_t, t, context)
            loss, numbers = nft_loss(
                v,
                v_old,
                v_ref,
                x0=x0,
                x_t=x_t,
                t=t,
                r=r,
                beta=config.nft.beta,
                kl=config.nft.kl,
                scale=config.reward.advantage_clip,
            )
            backward(loss * minibatch.share(part) / config.nft.times)
            for name, value in minibatch.portion({"loss": loss.item(), **numbers}, part).items():
                sums[name] += value / config.nft.times
        return sums

    def _noised(self, minibatch: Minibatch, index: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(times [N], noise [N, C, h, w]) of the whole lesson, whoever reads which part of it, as often as `times` says.

        Pictures of a prompt share both: what they have in common cancels between advantages that sum to nothing, and so does most
        of the noise. A prompt meets different times, all of the sampler's first half: later ones only finish what is there.
        """
        config, shape = self._config, minibatch.kept["x0"].shape[1:]
        generator = torch_rng(self._seed, "grpo-noise", index)
        grid = time_grid(config.rollout.sample_steps, config.rollout.shift)[
            : (config.rollout.sample_steps + 1) // 2
        ]
        order = torch.stack(
            [torch.randperm(len(grid), generator=generator) for _ in range(config.rollout.prompts)]
        )
        prompts = minibatch.rows // config.rollout.group
        for turn in range(config.nft.times):
            noise = torch.randn((config.rollout.prompts, *shape), generator=generator)
            yield grid[order[prompts, turn % len(grid)]], noise[prompts]

    def finish_round(self, steps: int) -> None:
        """Move the old policy, after `steps` optimizer steps in all."""
        self.old.follow(min(self._config.nft.ema_decay_per_step * steps, 0.5))
