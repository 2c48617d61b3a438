"""Writing words with the text backbone: several conversations at once, each token costing one pass over the weights for all.

Decoding is bound by reading 270 MB of weights a token, so sixteen conversations together take little longer than one and a
half. What is said must not depend on what else is asked, so nothing is padded: every conversation is read alone, keeps its
keys and values from place 0 of its own row, and only the new tokens go through the layers together. A matrix product's row
does not depend on the other rows (as long as there are others: the kernel for a single row sums in another order), and places
behind a row's end weigh exactly nothing: a reply has the same words in any company. One batch is kept full: where a
conversation has ended, the next one takes its row.

Letters: R rows, L tokens, D width, K kv heads, Q query heads a kv head, E head size, V vocabulary.
Attention is written out because the fused CPU kernel takes nearly as long as all matrix products when eight rows ask one
token each. Departs from BAGEL's code, which stops a whole batch with its first row.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlamaForCausalLM

ROWS = 16
"""Conversations that are written together."""
_FEWEST = 2
"""Rows that go through the layers even when one conversation is left."""

Choice = Callable[[Tensor], int]
"""Logits [V] of the next token -> the token taken."""


@torch.no_grad()
def write(
    llama: LlamaForCausalLM,
    prompts: Sequence[Tensor],
    choices: Sequence[Choice],
    *,
    max_tokens: int,
    stop: int,
) -> list[list[int]]:
    """The tokens that follow each prompt, without `stop`, at most `max_tokens`.

    Args:
        llama: The backbone, with or without adapters in it.
        prompts: Embedded prompts, [L, D] each.
        choices: One a prompt; called once a token, in order.
        max_tokens: 0 gives empty lists.
        stop: The token that ends a message; one that never comes, as -1, writes exactly `max_tokens`.

    Raises:
        ValueError: A prompt and its reply are longer than the model's context, or the logits are not numbers.
    """
    longest = max((len(prompt) for prompt in prompts), default=0)
    check_context(llama, longest, max_tokens)
    written: list[list[int]] = [[] for _ in prompts]
    if not max_tokens:
        return written
    desk = Desk(llama, rows=min(ROWS, len(prompts)), places=longest + max_tokens)
    waiting, writers = deque(range(len(prompts))), list[int]()

    def goes_on(writer: int, logits: Tensor) -> bool:
        token = choices[writer](_finite(logits))
        if token != stop:
            written[writer].append(token)
        return token != stop and len(written[writer]) < max_tokens

    while waiting or writers:
        while waiting and len(writers) < desk.rows:
            writer = waiting.popleft()
            if goes_on(writer, desk.read(len(writers), prompts[writer])):
                writers.append(writer)
        if writers:
            logits = desk.write([written[writer][-1] for writer in writers])
            for row in reversed(
                [row for row, writer in enumerate(writers) if not goes_on(writer, logits[row])]
            ):
                desk.move(len(writers) - 1, row)
                writers[row] = writers[-1]
                writers.pop()
    return written


def check_context(llama: LlamaForCausalLM, tokens: int, more: int) -> None:
    """Refuse what does not fit the backbone's context.

    Raises:
        ValueError: `tokens` read and `more` to write are too many.
    """
    limit = llama.config.max_position_embeddings
    if tokens + more > limit:
        raise ValueError(
            f"a conversation has {tokens} tokens and its reply up to {more} more, the model holds {limit}: "
            "shorten the history or the texts in it"
        )


def _finite(logits: Tensor) -> Tensor:
    if not torch.isfinite(logits).all():
        raise ValueError(
            "the text backbone answers with NaN instead of word probabilities: its adapters (adapters/und) diverged or are "
            "damaged; train them again with a lower learning rate"
        )
    return logits


class Desk:
    """Keys and values of up to R conversations, rows 0, 1, ... in use, and the layers that add to them."""

    def __init__(self, llama: LlamaForCausalLM, *, rows: int, places: int) -> None:
        config = llama.config
        assert config.num_key_value_heads is not None
        self.llama, self.rows = llama, rows
        rows = max(rows, _FEWEST)
        self.kv, self.size = config.num_key_value_heads, config.hidden_size // config.num_attention_heads
        shape = (rows * self.kv, places, self.size)
        self.keys = [torch.zeros(shape, dtype=torch.bfloat16) for _ in llama.model.layers]
        self.values = [torch.zeros(shape, dtype=torch.bfloat16) for _ in llama.model.layers]
        self.lengths = torch.zeros(rows, dtype=torch.long)

    def read(self, row: int, prompt_ld: Tensor) -> Tensor:
        """Put a conversation into a row; logits [V] of what comes next."""
        cache = DynamicCache()
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.llama.model(
                inputs_embeds=prompt_ld[None], past_key_values=cache, use_cache=True
            ).last_hidden_state
            logits = self.llama.lm_head(hidden[:, -1])
        layers: list[Any] = list(cache.layers)
        for keys, values, layer in zip(self.keys, self.values, layers, strict=True):
            keys[self._heads(row), : len(prompt_ld)] = layer.keys[0]
            values[self._heads(row), : len(prompt_ld)] = layer.values[0]
        self.lengths[row] = len(prompt_ld)
        return logits[0].float()

    def move(self, row: int, to: int) -> None:
        """Move a conversation to another row, whose own is over."""
        length = int(self.lengths[row])
        for tensor in (*self.keys, *self.values):
            tensor[self._heads(to), :length] = tensor[self._heads(row), :length]
        self.lengths[to] = length

    def _heads(self, row: int) -> slice:
        return slice(row * self.kv, (row + 1) * self.kv)

    def write(self, tokens: Sequence[int]) -> Tensor:
        """Add one token to each of the first rows; logits [rows, V] of what comes next."""
        written, rows = len(tokens), max(len(tokens), _FEWEST)
        tokens = [*tokens, *[0] * (rows - written)]
        places = self.lengths[:rows].clone()
        beyond = torch.arange(int(places.max()) + 1)[None] > places[:, None]
        model = self.llama.model
        with torch.autocast("cpu", torch.bfloat16):
            x = model.embed_tokens(torch.tensor(tokens))[:, None]
            rotation = model.rotary_emb(x, places[:, None])
            layers: list[Any] = list(model.layers)
            for index, layer in enumerate(layers):
                x = x + self._attend(
                    index, layer.self_attn, layer.input_layernorm(x), rotation, places, beyond
                )
                x = x + layer.mlp(layer.post_attention_layernorm(x))
            logits = self.llama.lm_head(model.norm(x)[:, 0])
        self.lengths[:written] += 1
        return logits[:written].float()

    def _attend(
        self,
        index: int,
        attention: Any,
        h_r1d: Tensor,
        rotation: tuple[Tensor, Tensor],
        places: Tensor,
        beyond_rl: Tensor,
    ) -> Tensor:
        rows, length = beyond_rl.shape

        def heads(projection: nn.Module) -> Tensor:
            return projection(h_r1d).view(rows, self.kv, -1, self.size)

        q_rkqe, k_rk1e = (_rotated(heads(p), rotation) for p in (attention.q_proj, attention.k_proj))
        keys, values = self.keys[index][: rows * self.kv], self.values[index][: rows * self.kv]
        here = (torch.arange(rows * self.kv), places.repeat_interleave(self.kv))
        keys[here] = k_rk1e.flatten(0, 2).to(keys.dtype)
        values[here] = heads(attention.v_proj).flatten(0, 2).to(values.dtype)
        # Three axes: with four, the places in use would have to be copied together before each product.
        scores = torch.bmm(q_rkqe.flatten(0, 1) * self.size**-0.5, keys[:, :length].transpose(1, 2))
        scores = scores.float().view(rows, -1, length).masked_fill(beyond_rl[:, None], -torch.inf)
        weights = scores.softmax(-1).to(values.dtype).view(rows * self.kv, -1, length)
        return attention.o_proj(torch.bmm(weights, values[:, :length]).view(rows, 1, -1))


def _rotated(x_rkqe: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions, half-rotation layout."""
    cos, sin = (part[:, None] for part in rotation)
    first, second = x_rkqe.chunk(2, dim=-1)
    return x_rkqe * cos + torch.cat([-second, first], dim=-1) * sin
