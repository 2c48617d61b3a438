"""Autoregressive decoding with the text backbone: several conversations at once, one forward pass per token
for all.

Decoding is bound by reading 270 MB of weights per token, so sixteen conversations together take little longer
than one and a half. Replies are batch-invariant: nothing is padded. Every conversation is prefilled alone,
keeps its keys and values from position 0 of its own slot, and only the new tokens go through the layers
together. A row of a matrix product does not depend on the other rows, as long as there are others (the kernel
for a single row sums in another order), and positions beyond a slot's length get a weight of exactly zero.
The batch is kept full: when a conversation ends, the next one takes its slot.

Shape letters: R slots, L positions, D width, K kv heads, Q query heads per kv head, E head size, V
vocabulary. Attention is written out because the fused CPU kernel takes nearly as long as all matrix products
when eight slots query one token each. Departs from BAGEL's code, which stops a whole batch with its first
conversation.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, LlamaForCausalLM

from unichar.errors import UserError

SLOTS = 16
"""Conversations decoded together."""
_MIN_SLOTS = 2
"""Rows that go through the layers even when one conversation is left: one row alone would change its bits."""

Sampler = Callable[[Tensor], int]
"""Logits [V] of the next token -> the token chosen."""


@torch.no_grad()
def decode(
    llama: LlamaForCausalLM,
    prompts: Sequence[Tensor],
    samplers: Sequence[Sampler],
    *,
    max_tokens: int,
    stop: int,
) -> list[list[int]]:
    """The tokens that follow each prompt, without `stop`, at most `max_tokens`.

    Args:
        llama: The backbone, with or without adapters.
        prompts: Embedded prompts, [L, D] each.
        samplers: One per prompt; called once per token, in order.
        max_tokens: 0 returns empty lists.
        stop: The token that ends a message; -1 never occurs, so exactly `max_tokens` are decoded.

    Raises:
        UserError: A prompt with its reply exceeds the model's context, or the logits are not finite.
    """
    longest = max((len(prompt) for prompt in prompts), default=0)
    check_context(llama, longest, max_tokens)
    outputs: list[list[int]] = [[] for _ in prompts]
    if not max_tokens:
        return outputs

    cache = SlotCache(llama, slots=min(SLOTS, len(prompts)), positions=longest + max_tokens)
    waiting = deque(range(len(prompts)))
    active: list[int] = []  # slot -> number of its conversation

    def add_token(number: int, logits: Tensor) -> bool:
        """Choose and append a conversation's next token; whether the conversation goes on."""
        token = samplers[number](_finite(logits))
        if token != stop:
            outputs[number].append(token)
        return token != stop and len(outputs[number]) < max_tokens

    while waiting or active:
        while waiting and len(active) < cache.slots:
            number = waiting.popleft()
            if add_token(number, cache.prefill(len(active), prompts[number])):
                active.append(number)

        if active:
            logits = cache.step([outputs[number][-1] for number in active])
            ended = [slot for slot, number in enumerate(active) if not add_token(number, logits[slot])]

            # Fill the gaps with the last slots, from the back so that slot numbers stay valid.
            for slot in reversed(ended):
                cache.move(len(active) - 1, slot)
                active[slot] = active[-1]
                active.pop()
    return outputs


def check_context(llama: LlamaForCausalLM, tokens: int, new_tokens: int) -> None:
    """Check that a prompt and its reply fit the backbone's context.

    Raises:
        UserError: `tokens` of the prompt plus `new_tokens` of the reply are too many.
    """
    limit = llama.config.max_position_embeddings
    if tokens + new_tokens > limit:
        raise UserError(
            f"a conversation has {tokens} tokens and its reply up to {new_tokens} more, the model holds "
            f"{limit}: shorten the history or the texts in it"
        )


def _finite(logits: Tensor) -> Tensor:
    if not torch.isfinite(logits).all():
        raise UserError(
            "the text backbone answers with NaN instead of word probabilities: its adapters (adapters/und) "
            "diverged or are damaged; train them again with a lower learning rate"
        )
    return logits


class SlotCache:
    """Keys and values of up to R conversations in slots 0, 1, ..., and the forward pass that extends them.

    keys, values: one [R * K, L, E] tensor per layer, on the backbone's device; lengths: [R] positions in use,
    on the CPU, so that reading them does not wait for a GPU.
    """

    def __init__(self, llama: LlamaForCausalLM, *, slots: int, positions: int) -> None:
        config = llama.config
        assert config.num_key_value_heads is not None
        self.llama, self.slots, self.device = llama, slots, llama.device
        self.kv, self.size = config.num_key_value_heads, config.hidden_size // config.num_attention_heads

        rows = max(slots, _MIN_SLOTS)
        shape = (rows * self.kv, positions, self.size)
        options: Any = {"dtype": torch.bfloat16, "device": self.device}
        self.keys = [torch.zeros(shape, **options) for _ in llama.model.layers]
        self.values = [torch.zeros(shape, **options) for _ in llama.model.layers]
        self.lengths = torch.zeros(rows, dtype=torch.long)

    def prefill(self, slot: int, prompt_ld: Tensor) -> Tensor:
        """Put a conversation into a slot; logits [V] of its next token, fp32 on the CPU."""
        cache = DynamicCache()
        with torch.autocast(self.device.type, torch.bfloat16):
            output = self.llama.model(inputs_embeds=prompt_ld[None], past_key_values=cache, use_cache=True)
            logits = self.llama.lm_head(output.last_hidden_state[:, -1])  # [1, V]

        layers: list[Any] = list(cache.layers)
        for keys, values, layer in zip(self.keys, self.values, layers, strict=True):
            keys[self._heads(slot), : len(prompt_ld)] = layer.keys[0]
            values[self._heads(slot), : len(prompt_ld)] = layer.values[0]
        self.lengths[slot] = len(prompt_ld)
        return logits[0].float().cpu()

    def move(self, slot: int, to: int) -> None:
        """Move a conversation to another slot, replacing the one there."""
        length = int(self.lengths[slot])
        for tensor in (*self.keys, *self.values):
            tensor[self._heads(to), :length] = tensor[self._heads(slot), :length]
        self.lengths[to] = length

    def _heads(self, slot: int) -> slice:
        return slice(slot * self.kv, (slot + 1) * self.kv)

    def step(self, tokens: Sequence[int]) -> Tensor:
        """Append one token to each of the first slots; logits [number of tokens, V] of the next ones, fp32 on
        the CPU.
        """
        active, rows = len(tokens), max(len(tokens), _MIN_SLOTS)
        ids = torch.tensor([*tokens, *[0] * (rows - active)], device=self.device)  # [R]
        longest = int(self.lengths[:rows].max()) + 1
        positions = self.lengths[:rows].to(self.device, copy=True)  # [R]
        future = torch.arange(longest, device=self.device)[None] > positions[:, None]  # [R, L]

        model = self.llama.model
        with torch.autocast(self.device.type, torch.bfloat16):
            x = model.embed_tokens(ids)[:, None]  # [R, 1, D]
            rotation = model.rotary_emb(x, positions[:, None])
            layers: list[Any] = list(model.layers)
            for index, layer in enumerate(layers):
                h = layer.input_layernorm(x)
                x = x + self._attend(index, layer.self_attn, h, rotation, positions, future)
                x = x + layer.mlp(layer.post_attention_layernorm(x))
            logits = self.llama.lm_head(model.norm(x)[:, 0])  # [R, V]

        self.lengths[:active] += 1
        return logits[:active].float().cpu()

    def _attend(
        self,
        index: int,
        attention: Any,
        h_r1d: Tensor,
        rotation: tuple[Tensor, Tensor],
        positions_r: Tensor,
        future_rl: Tensor,
    ) -> Tensor:
        """Attention of one new token per slot, [R, 1, D]; writes its key and value into the cache."""
        rows, length = future_rl.shape

        def heads(projection: nn.Module) -> Tensor:
            return projection(h_r1d).view(rows, self.kv, -1, self.size)  # [R, K, Q or 1, E]

        q_rkqe = _rotated(heads(attention.q_proj), rotation)
        k_rk1e = _rotated(heads(attention.k_proj), rotation)

        keys, values = self.keys[index][: rows * self.kv], self.values[index][: rows * self.kv]
        slots = torch.arange(rows * self.kv, device=self.device)
        new = (slots, positions_r.repeat_interleave(self.kv))
        keys[new] = k_rk1e.flatten(0, 2).to(keys.dtype)  # [R * K, E]
        values[new] = heads(attention.v_proj).flatten(0, 2).to(values.dtype)  # [R * K, E]

        # Three axes: with four, the positions in use would have to be made contiguous before each product.
        q = q_rkqe.flatten(0, 1) * self.size**-0.5  # [R * K, Q, E]
        scores = torch.bmm(q, keys[:, :length].transpose(1, 2))  # [R * K, Q, L]
        scores = scores.float().view(rows, -1, length)  # [R, K * Q, L]
        scores = scores.masked_fill(future_rl[:, None], -torch.inf)

        weights = scores.softmax(-1).to(values.dtype).view(rows * self.kv, -1, length)  # [R * K, Q, L]
        mixed = torch.bmm(weights, values[:, :length]).view(rows, 1, -1)  # [R, 1, K * Q * E]
        return attention.o_proj(mixed)


def _rotated(x_rkqe: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Apply rotary positions, half-rotation layout; `rotation` is (cos, sin), [R, 1, E] each."""
    cos, sin = rotation[0][:, None], rotation[1][:, None]  # [R, 1, 1, E]
    first, second = x_rkqe.chunk(2, dim=-1)
    return x_rkqe * cos + torch.cat([-second, first], dim=-1) * sin
