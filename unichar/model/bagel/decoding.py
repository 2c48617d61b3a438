"""Autoregressive decoding with BAGEL's text expert, one conversation at a time, from a cached context."""

from collections.abc import Iterator

import torch
from torch import Tensor

from unichar.errors import UserError
from unichar.model.bagel.context import Context
from unichar.model.bagel.decoder import TextExpert, run_experts

NAN_LOGITS = (
    "the text expert (und) answers with NaN instead of word probabilities: its adapters diverged or are "
    "damaged; train them with a lower learning rate"
)


def finite(tensor: Tensor, problem: str) -> Tensor:
    """The tensor itself.

    Raises:
        UserError: It holds NaN or infinity; the message is `problem`.
    """
    if not bool(tensor.isfinite().all()):
        raise UserError(problem)
    return tensor


def next_token_logits(
    und: TextExpert, context: Context, generated: list[int], begin: int, max_tokens: int
) -> Iterator[Tensor]:
    """Logits [V] of up to `max_tokens` tokens, one after the other.

    The caller appends the token it chooses to `generated` before it asks for the next logits.

    Args:
        und: Text expert, with or without adapters.
        context: Of one conversation, without padding.
        generated: Empty at first.
        begin: Id of the token that begins a message.
        max_tokens: Number of logits.

    Raises:
        UserError: The expert predicts NaN.
    """
    device = und.embed_tokens.weight.device
    for _ in range(max_tokens):
        token = torch.tensor([[generated[-1] if generated else begin]], device=device)  # [1, 1]
        (hidden,), new = run_experts(
            [und], [und.embed_tokens(token)], context.position[:, None], past=context.past, keep=True
        )
        context = context.extended(new, context.position + 1)
        yield finite(und.lm_head(hidden)[0, 0].float().cpu(), NAN_LOGITS)
