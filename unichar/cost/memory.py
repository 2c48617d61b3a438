"""Memory a GPU needs, estimated: weights, gradients and optimizer are counted, activations follow from what a layer keeps.

Weights that do not train are bf16; what trains is fp32 with fp32 gradients and two moments (AdamW). Fully sharded (FSDP): every
process holds its share, and two layers of both experts whole, the one at work and the one that is fetched meanwhile. Layers
run again on the way back, so each keeps its input, and one layer at a time all that happens inside it. Kernels' own buffers, the
CUDA context and fragmentation are not in it: leave a tenth free.
"""

from dataclasses import dataclass

from unichar.cost.flops import Sizes, Stack
from unichar.cost.workload import Texts
from unichar.sft.config import SftConfig

_BF16, _FP32 = 2, 4
_INSIDE = 2
"""Inside a layer gradients of activations stand beside the activations."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on one GPU."""

    weights: float
    """Its share of all weights, in the type they are kept in."""
    gradients: float
    optimizer: float
    gathered: float
    """Layers that are whole for the moment."""
    activations: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.gathered + self.activations


def sft_memory(
    sizes: Sizes,
    texts: Texts,
    config: SftConfig,
    *,
    parameters: int,
    trainable: int,
    full: bool,
    gpus: int,
    parts: int,
) -> Memory:
    """One GPU of `gpus` that share a step, which each reads in `parts`.

    Args:
        parameters: Numbers in the model without adapters.
        trainable: Numbers that train; with `full` they are among the former.
    """
    frozen = parameters - trainable if full else parameters
    layers = _layer_numbers(sizes.text) + _layer_numbers(sizes.gen)
    return Memory(
        weights=(_BF16 * frozen + _FP32 * trainable) / gpus,
        gradients=_FP32 * trainable / gpus,
        optimizer=2 * _FP32 * trainable / gpus,
        gathered=2 * _BF16 * layers if gpus > 1 else 0.0,
        activations=max(
            _pictures(sizes, texts, -(-config.pictures // (gpus * parts)), full=full),
            _talks(sizes, texts, config, -(-config.conversations // (gpus * parts))),
        ),
    )


def fewest_parts(
    sizes: Sizes,
    texts: Texts,
    config: SftConfig,
    *,
    parameters: int,
    trainable: int,
    full: bool,
    gpus: int,
    limit: float,
) -> tuple[int, Memory]:
    """The fewest parts of a step that fit into `limit` bytes, or one picture a part if nothing does, and the memory then."""
    most = max(1, -(-max(config.pictures, config.conversations) // gpus))
    parts, memory = 0, None
    while memory is None or (memory.total > limit and parts < most):
        parts += 1
        memory = sft_memory(
            sizes,
            texts,
            config,
            parameters=parameters,
            trainable=trainable,
            full=full,
            gpus=gpus,
            parts=parts,
        )
    return parts, memory


def _layer_numbers(stack: Stack) -> int:
    return sum(inputs * outputs for inputs, outputs in stack.matrices)


def _inside(stack: Stack, tokens: float) -> float:
    """All that one layer computes for so many tokens."""
    return _BF16 * tokens * (stack.width * 4 + sum(outputs for _, outputs in stack.matrices))


def _pictures(sizes: Sizes, texts: Texts, pictures: int, *, full: bool) -> float:
    stack, tokens = sizes.gen, pictures * sizes.tokens
    kept = _BF16 * tokens * stack.width * stack.layers
    contexts = _BF16 * 2 * pictures * texts.prompt * stack.layers * stack.kv_heads * stack.head_size
    inside = _inside(stack, tokens)
    if not sizes.recompute:
        return stack.layers * inside + contexts
    return kept + contexts + _INSIDE * inside


def _talks(sizes: Sizes, texts: Texts, config: SftConfig, talks: int) -> float:
    """The longest conversations that a step can hold."""
    longest = [
        (talk.tokens + (sizes.seen_tokens if talk.pictures else 0), talk.targets)
        for kind, talk in texts.talks.items()
        if config.mix.get(kind, 0) > 0
    ]
    stack, tokens = sizes.text, talks * max((tokens for tokens, _ in longest), default=0.0)
    targets = talks * max((targets for _, targets in longest), default=0.0)
    logits = 3 * _FP32 * targets * sizes.vocabulary
    inside = _inside(stack, tokens)
    if not (sizes.recompute or config.checkpointing):
        return stack.layers * inside + logits
    return _BF16 * tokens * stack.width * stack.layers + _INSIDE * inside + logits
