"""What each step learns from, as a pure function of (seed, step): resuming repeats the very same batches."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unichar.domains.base import Domain
from unichar.domains.scenes import photograph_of_somebody
from unichar.domains.toon.captions import caption, describe
from unichar.domains.toon.vocabulary import random_identity, random_scene
from unichar.kit.images import load_picture
from unichar.model.protocol import UnifiedModel
from unichar.sft.config import SftConfig
from unichar.training.seeds import derive, python_rng
from unichar.types import Interaction

_AT_ONCE = 8
"""Pictures the base draws together."""


def shuffled(count: int, take: int, step: int, seed: int) -> list[int]:
    """`take` of `count` indices for `step`: walks through seeded permutations, so every item is seen before any repeats.

    Example: `shuffled(3, 2, 0, 0)`, then step 1, covers three different items before the fourth draw repeats one.
    """
    picks = []
    for position in range(step * take, (step + 1) * take):
        epoch, place = divmod(position, count)
        order = list(range(count))
        random.Random(derive(seed, "epoch", epoch)).shuffle(order)
        picks.append(order[place])
    return picks


def mixed(kinds: Sequence[str], mix: Mapping[str, float], total: int, seed: int) -> list[int]:
    """`total` indices into `kinds`, every kind as often as its weight in `mix` says and spread evenly over the whole run.

    Within a kind, items come in seeded permutations, as in `shuffled`. Kinds without weight or without items are left out, and
    the others share their place.

    Raises:
        ValueError: Nothing is left to learn from.
    """
    members = {
        kind: [i for i, k in enumerate(kinds) if k == kind] for kind in mix if mix[kind] > 0 and kind in kinds
    }
    if not members:
        raise ValueError(
            f"the mix {dict(mix)} gives no weight to any kind at hand ({', '.join(sorted(set(kinds))) or 'none'})"
        )
    weights = {kind: mix[kind] / sum(mix[k] for k in members) for kind in members}
    due: list[tuple[float, str]] = []
    for kind, weight in weights.items():
        count = round(weight * total) + 1
        due += [((j + 0.5) / weight, kind) for j in range(count)]
    order = [kind for _, kind in sorted(due)[:total]]
    walks = {
        kind: iter(shuffled(len(rows), order.count(kind), 0, derive(seed, kind)))
        for kind, rows in members.items()
    }
    return [members[kind][next(walks[kind])] for kind in order]


def with_pictures(items: Sequence[Interaction], count: int) -> list[Interaction]:
    """The items that show no picture outside `count` of them, spread over the kit (all for 0): few-shot studies."""
    names = sorted({item.target.value for item in items if item.kind == "portrait"})
    used = (
        set(names)
        if count <= 0 or count >= len(names)
        else {names[i * len(names) // count] for i in range(count)}
    )
    left_out = set(names) - used
    return [item for item in items if not left_out & {s.value for s in item.segments if s.type == "image"}]


@dataclass(frozen=True, kw_only=True)
class PicturePool:
    """Prompts, each with the latents [C, h, w] of the picture it stands for."""

    prompts: tuple[str, ...]
    latents: Tensor
    """[number of prompts, C, h, w]."""


def character_pool(model: UnifiedModel, portraits: Sequence[Interaction], folder: Path) -> PicturePool:
    """Every training portrait; a picture is encoded once, however many prompts it has."""
    names = sorted({item.target.value for item in portraits})
    encoded = model.encode_images([load_picture(folder / name, model.image_size) for name in names])
    rows = torch.tensor([names.index(item.target.value) for item in portraits])
    return PicturePool(prompts=tuple(item.prompt for item in portraits), latents=encoded[rows])


def prior_pool(model: UnifiedModel, config: SftConfig, domain: Domain, seed: int) -> PicturePool:
    """`config.prior_pool` prior-preservation images with their prompts: anybody but the character.

    With `prior="rendered"` the domain renders them. With `prior="base"` the model samples them itself, without guidance, while
    its adapters are still the identity; every other one is an everyday photograph, so that whatever it can draw is preserved.
    """
    rng, count = python_rng(seed, "prior"), config.prior_pool
    if config.prior == "rendered":
        rendered, images = domain.prior_images(count=count, size=model.image_size, rng=rng)
        return PicturePool(prompts=tuple(rendered), latents=model.encode_images(images))

    described = [caption(describe(random_identity(rng)), random_scene(rng), rng) for _ in range(count)]
    prompts = tuple(photograph_of_somebody(rng) if i % 2 else text for i, text in enumerate(described))
    return PicturePool(prompts=prompts, latents=_drawn(model, prompts, config, seed))


def _drawn(model: UnifiedModel, prompts: Sequence[str], config: SftConfig, seed: int) -> Tensor:
    """[number of prompts, C, h, w] by the model as it is."""
    found = []
    for start in range(0, len(prompts), _AT_ONCE):
        part = prompts[start : start + _AT_ONCE]
        seeds = [derive(seed, "prior", start + i) for i in range(len(part))]
        context = model.prompt_context(part)
        found.append(
            model.sample_latents(
                context, seeds, steps=config.prior_sample_steps, guidance=1.0, shift=config.shift
            )
        )
        print(f"the base draws strangers: {start + len(part)} of {len(prompts)}", flush=True)
    return torch.cat(found)
