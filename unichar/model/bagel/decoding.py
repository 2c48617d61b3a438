"""Autoregressive decoding with BAGEL's text expert: several conversations at once, from cached contexts.

Shape letters: R conversations, S cached positions, K key/value heads, Q query heads per key/value head, E
head size, V vocabulary.

Reading the weights takes most of a token's time, so a token of R conversations costs little more than one of
one. The cache is allocated once. Conversations are aligned at their end, so that all of them write their next
keys and values into the same column, and each token moves one number per conversation to the CPU.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unichar.errors import UserError
from unichar.model.bagel.context import Context
from unichar.model.bagel.decoder import TextExpert, run_experts
from unichar.model.bagel.packing import SpecialTokens

REPLIES = 16
"""Conversations decoded together by default; each token of each takes 57 KB of cache."""
NAN_LOGITS = (
    "the text expert (und) answers with NaN instead of word probabilities: its adapters diverged or are "
    "damaged; train them with a lower learning rate"
)
_NO_TOKEN = -1
"""Chosen from logits that are not finite."""
_ALIGNMENT = 8
"""Masks of the fused kernels start at multiples of this."""


def finite(tensor: Tensor, problem: str) -> Tensor:
    """The tensor itself.

    Raises:
        UserError: It holds NaN or infinity; the message is `problem`.
    """
    if not bool(tensor.isfinite().all()):
        raise UserError(problem)
    return tensor


class ReplyCache:
    """Keys and values of R conversations with room for replies, and the attention of one new token each.

    keys, values: of every layer, [R, S, K, E]; conversations end at column `next_column - 1`.
    bias: [R, 1, 1, S], 0 where there is a token, -inf elsewhere.
    position: [R], the next rotary position.
    """

    def __init__(self, und: TextExpert, rows: int, *, longest: int, max_tokens: int) -> None:
        """
        Args:
            und: Text expert; the cache has its type and device.
            rows: Number of conversations.
            longest: Tokens of the longest one.
            max_tokens: Tokens of the longest reply.
        """
        config, weight = und.config, und.embed_tokens.weight
        columns = _aligned(longest + max_tokens)
        shape = (rows, columns, config.num_key_value_heads, config.head_size)

        # Zeros, because what is masked still meets a weight of zero, and zero times NaN is NaN.
        self.keys = [weight.new_zeros(shape) for _ in range(config.num_hidden_layers)]
        self.values = [weight.new_zeros(shape) for _ in range(config.num_hidden_layers)]
        self.bias = weight.new_full((rows, 1, 1, columns), -torch.inf)
        self.position = torch.zeros(rows, dtype=torch.long, device=weight.device)
        self.next_column = longest

    def put(self, row: int, context: Context) -> None:
        """Copy a context of one conversation into a row."""
        (past,) = context.pasts
        columns = slice(self.next_column - past[0][0].shape[1], self.next_column)
        for keys, values, (k, v) in zip(self.keys, self.values, past, strict=True):
            keys[row, columns], values[row, columns] = k[0], v[0]
        self.bias[row, ..., columns] = 0
        self.position[row] = context.position[0]

    def attend(self, layer: int, q: Tensor, k: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
        """An `Attend`: store the key and value of the new token of each conversation, and attend to all."""
        keys, values = self.keys[layer], self.values[layer]
        keys[:, self.next_column], values[:, self.next_column] = k[0][:, 0], v[0][:, 0]

        # Query heads that share a key/value head are passed as queries of that head, all at one position: the
        # kernel that takes masks takes no grouped heads, and this needs no copies of keys and values.
        count = _aligned(self.next_column + 1)
        q_rkqe = q[:, 0].unflatten(1, (keys.shape[2], -1))  # [R, K, Q, E]
        k_rkse, v_rkse = (each[:, :count].transpose(1, 2) for each in (keys, values))
        mixed = F.scaled_dot_product_attention(q_rkqe, k_rkse, v_rkse, attn_mask=self.bias[..., :count])
        return mixed.flatten(1, 2)[:, None]  # [R, 1, H, E]

    def logits(self, und: TextExpert, tokens: Tensor) -> Tensor:
        """Logits [R, V] after one more token [R] of each conversation, fp32."""
        self.bias[..., self.next_column] = 0
        embedded = und.embed_tokens(tokens[:, None])  # [R, 1, D]
        (hidden,), _ = run_experts([und], [embedded], self.position[:, None], self.attend)

        self.next_column += 1
        self.position += 1
        return und.lm_head(hidden[:, 0]).float()


@torch.no_grad()
def decode(
    und: TextExpert,
    cache: ReplyCache,
    special: SpecialTokens,
    *,
    max_tokens: int,
    temperature: float,
    uniform: Tensor,
) -> list[list[int]]:
    """The tokens of one reply per conversation, without begin and end; decoding stops when all have ended.

    Args:
        und: Text expert, with or without adapters.
        cache: Of R conversations; it is extended.
        special: Control tokens.
        max_tokens: Most tokens of a reply.
        temperature: 0 is greedy.
        uniform: [R, max_tokens] numbers in [0, 1) that decide what is sampled.

    Raises:
        UserError: The expert predicts NaN.
    """
    replies: list[list[int]] = [[] for _ in uniform]
    unfinished = set(range(len(replies)))
    tokens = torch.full((len(replies),), special.begin, device=cache.position.device)
    uniform = uniform.to(tokens.device)

    for step in range(max_tokens):
        tokens = choose(cache.logits(und, tokens), temperature, uniform[:, step])
        chosen = tokens.tolist()  # the only transfer per token

        for row in sorted(unfinished):
            if chosen[row] == _NO_TOKEN:
                raise UserError(NAN_LOGITS)
            if chosen[row] == special.end:
                unfinished.remove(row)
            else:
                replies[row].append(chosen[row])
        if not unfinished:
            break
    return replies


def choose(logits_rv: Tensor, temperature: float, uniform_r: Tensor) -> Tensor:
    """Tokens [R] of logits [R, V], -1 where these are not finite: the likeliest at temperature 0, else the
    one in whose share of the cumulated probability `uniform` [R] lies.
    """
    if temperature <= 0:
        tokens = logits_rv.argmax(-1)
    else:
        cumulated = (logits_rv.double() / temperature).softmax(-1).cumsum(-1)  # [R, V]
        wanted = uniform_r[:, None] * cumulated[:, -1:]
        tokens = torch.searchsorted(cumulated, wanted, right=True)[:, 0]
    return tokens.masked_fill(~logits_rv.isfinite().all(-1), _NO_TOKEN)


def _aligned(columns: int) -> int:
    return -(-columns // _ALIGNMENT) * _ALIGNMENT
