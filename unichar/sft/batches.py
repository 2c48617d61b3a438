"""The samples of each step, a pure function of (seed, step): a resumed run repeats the very same batches."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unichar.domains.base import Domain
from unichar.domains.scenes import prior_prompts
from unichar.errors import UserError
from unichar.kit.images import load_picture
from unichar.model.protocol import UnifiedModel
from unichar.sft.config import SftConfig
from unichar.training.seeds import derive, python_rng
from unichar.types import Interaction

_LOG = logging.getLogger(__name__)
_BATCH = 8
"""Prior-preservation images that the base samples together; bounds memory."""


def shuffled(count: int, take: int, step: int, seed: int) -> list[int]:
    """`take` of `count` indices for `step`, from seeded permutations: every item is seen before any repeats.

    Example: `shuffled(3, 2, 0, 0)`, then step 1, covers three different items before the fourth draw repeats
    one.
    """
    picks = []

    # Draws are numbered over the whole run, so that a step needs no state of the steps before it.
    for draw in range(step * take, (step + 1) * take):
        epoch, position = divmod(draw, count)

        # The permutation depends on seed and epoch alone, so any step of a resumed run finds it again.
        order = list(range(count))
        random.Random(derive(seed, "epoch", epoch)).shuffle(order)
        picks.append(order[position])
    return picks


def mixed(kinds: Sequence[str], mix: Mapping[str, float], total: int, seed: int) -> list[int]:
    """`total` indices into `kinds`, in the proportions of `mix` and spread evenly over the whole run.

    Within a kind, items come in seeded permutations, as in `shuffled`. Kinds without weight or without items
    are left out, and the proportions of the others keep their ratio.

    Raises:
        UserError: No item is left to train on.
    """
    # Kind -> indices of its items, for the kinds that take part.
    members: dict[str, list[int]] = {}
    for kind, weight in mix.items():
        if weight > 0 and kind in kinds:
            members[kind] = [i for i, k in enumerate(kinds) if k == kind]
    if not members:
        available = ", ".join(sorted(set(kinds))) or "none"
        raise UserError(
            f"SftConfig.mix {dict(mix)} gives no weight to any kind of item at hand ({available})"
        )

    # Normalized over the kinds that take part; those left out must not leave gaps.
    sum_of_weights = sum(mix[kind] for kind in members)

    # The j-th item of a kind with proportion w is due at draw (j + 0.5) / w; taking them in this order
    # spreads kinds evenly.
    due: list[tuple[float, str]] = []
    for kind in members:
        proportion = mix[kind] / sum_of_weights
        # One more than its part of the run, so that rounding cannot leave the last draws without an item.
        count = round(proportion * total) + 1
        due += [((j + 0.5) / proportion, kind) for j in range(count)]
    # Ties are broken by name, so the order is the same in every run.
    order = [kind for _, kind in sorted(due)[:total]]

    # All draws of a kind at once, as one step of `shuffled`; a seed per kind keeps kinds independent.
    picks = {}
    for kind, indices in members.items():
        picks[kind] = iter(shuffled(len(indices), order.count(kind), 0, derive(seed, kind)))
    return [members[kind][next(picks[kind])] for kind in order]


def with_pictures(items: Sequence[Interaction], count: int) -> list[Interaction]:
    """The items that refer to no pictures but `count` of the kit's, spread evenly, for few-shot studies; 0 is
    all."""
    # Every training picture has text-to-image samples, so their targets are all pictures.
    names = sorted({item.target.value for item in items if item.kind == "portrait"})
    if count <= 0 or count >= len(names):
        return list(items)

    # Evenly spaced in the sorted names, so the choice does not depend on the order of the items.
    left_out = set(names) - {names[i * len(names) // count] for i in range(count)}

    # An item goes if any of its pictures is left out, whether it is the target or only shown.
    kept = []
    for item in items:
        shown = {segment.value for segment in item.segments if segment.type == "image"}
        if not shown & left_out:
            kept.append(item)
    return kept


@dataclass(frozen=True, kw_only=True)
class PicturePool:
    """Pictures to sample training batches from, each with its prompt."""

    prompts: tuple[str, ...]
    """N prompts."""
    latents: Tensor
    """[N, C, h, w] latents of the picture of each prompt."""


def character_pool(model: UnifiedModel, samples: Sequence[Interaction], folder: Path) -> PicturePool:
    """All text-to-image training samples; a picture is encoded once, however many prompts it has."""
    names = sorted({item.target.value for item in samples})
    encoded = model.encode_images([load_picture(folder / name, model.image_size) for name in names])

    # Position of each prompt's picture among the encoded ones.
    indices = torch.tensor([names.index(item.target.value) for item in samples])  # [N]
    return PicturePool(prompts=tuple(item.prompt for item in samples), latents=encoded[indices])


def prior_pool(model: UnifiedModel, config: SftConfig, domain: Domain, seed: int) -> PicturePool:
    """`config.prior_pool` prior-preservation images with their prompts: anybody but the character.

    With `prior="rendered"` the domain renders them. With `prior="base"` the model samples them itself,
    without guidance, while its adapters are still the identity; every other one is an everyday photograph, so
    that whatever it can draw is preserved.
    """
    rng, count = python_rng(seed, "prior"), config.prior_pool
    if config.prior == "rendered":
        rendered, images = domain.prior_images(count=count, size=model.image_size, rng=rng)
        return PicturePool(prompts=tuple(rendered), latents=model.encode_images(images))

    # Otherwise the base itself is the source. The adapters exist already but still add nothing.
    prompts = prior_prompts(count, rng)
    return PicturePool(prompts=tuple(prompts), latents=_sampled(model, prompts, config, seed))


@torch.no_grad()
def _sampled(model: UnifiedModel, prompts: Sequence[str], config: SftConfig, seed: int) -> Tensor:
    """[N, C, h, w] latents of one picture per prompt, sampled by the model as it is."""
    latents = []

    # A few at a time, so that memory does not grow with the pool.
    for start in range(0, len(prompts), _BATCH):
        batch = prompts[start : start + _BATCH]

        # One seed per picture, from its number in the pool: batches do not change the pictures.
        seeds = [derive(seed, "prior", start + i) for i in range(len(batch))]

        # Without guidance, which saves the unconditional pass of every step.
        context = model.prompt_context(batch)
        some = model.sample_latents(
            context, seeds, steps=config.prior_sample_steps, guidance=1.0, shift=config.shift
        )

        latents.append(some)
        _LOG.info("the base samples prior-preservation images: %d of %d", start + len(batch), len(prompts))
    return torch.cat(latents)
