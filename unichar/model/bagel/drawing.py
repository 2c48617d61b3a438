"""Draws pictures after cached conversations, several at a time.

Shape letters: B pictures, N latent tokens of a picture, D width.

Nothing here waits for a GPU: times are plain numbers, and markers, positions and attention need nothing from
the CPU.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unichar.model.bagel.attention import after
from unichar.model.bagel.context import Context
from unichar.model.bagel.decoder import TextExpert, run_experts
from unichar.model.bagel.generation import GenerationExpert
from unichar.model.bagel.packing import SpecialTokens
from unichar.model.bagel.sampling import Guidance, Velocity, sample

DRAWN_TOKENS = 16_384
"""Latent tokens drawn together by default: 4 pictures of 1024 pixels or 16 of 512, activations of 2 GB."""

NAN_VELOCITY = (
    "the generation expert (gen) draws NaN: its adapters diverged or are damaged; train them with a lower "
    "learning rate"
)

ContextVelocity = Callable[[Tensor, Tensor, Context], Tensor]
"""(tokens [B, N, 64], times [B] or [1], context with a row per picture) -> velocities [B, N, 64]."""


def token_velocity(
    experts: tuple[TextExpert, GenerationExpert],
    special: SpecialTokens,
    tokens: Tensor,
    t: Tensor,
    context: Context,
    grid: tuple[int, int],
) -> Tensor:
    """v = eps - x0 [B, N, 64] of latent tokens [B, N, 64] on the model's device, fp32.

    Args:
        experts: For the two markers around a picture and for its tokens.
        special: Control tokens.
        tokens: At times t.
        t: [B], or [1] where all pictures have the same time.
        context: One row per picture.
        grid: (rows, columns) of tokens.
    """
    und, gen = experts
    table = und.embed_tokens.weight
    markers = torch.stack([table[special.vision_start], table[special.vision_end]])  # [2, D]

    text = markers.expand(len(tokens), -1, -1)  # [B, 2, D]
    latent = gen.embed(tokens, t, grid)  # [B, N, D]

    # All tokens of a picture have one position, the one after its prompt.
    positions = context.position[:, None]  # [B, 1]
    hidden, _ = run_experts([und, gen], [text, latent], positions, after(context.groups()))
    return gen.llm2vae(hidden[1]).float()


def draw_tokens(
    velocity: ContextVelocity,
    noise: Tensor,
    context: Context,
    *,
    without_text: Context,
    without_image: Context | None,
    guidance: Guidance,
    steps: int,
    shift: float,
    batch: int,
) -> Tensor:
    """Tokens [B, N, 64] of noise [B, N, 64], `batch` pictures at a time; see `sampling.sample`.

    Contexts have one row for all pictures, or one for each of several adjacent ones.
    """
    count = len(noise)

    def given(context: Context, rows: slice) -> Velocity:
        some = context.per_picture(count).select(rows)
        return lambda x, t: velocity(x, torch.full((1,), t, device=x.device), some)

    drawn = []
    for rows in chunks(count, batch):
        tokens = sample(
            noise[rows],
            given(context, rows),
            steps=steps,
            shift=shift,
            guidance=guidance,
            without_text=given(without_text, rows),
            without_image=given(without_image, rows) if without_image is not None else None,
        )
        drawn.append(tokens)
    return torch.cat(drawn)


def chunks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `count`."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
