"""Estimated memory per GPU: weights, gradients and optimizer state are counted, activations follow from
checkpointing.

Frozen weights are bf16; trained ones fp32, with fp32 gradients and two moments (AdamW). Fully sharded (FSDP):
every rank holds its shard, and two layers of both experts unsharded, the current one and the prefetched one.
With activation checkpointing each layer keeps its input, and one layer at a time all its activations.
Workspaces of kernels, the CUDA context and fragmentation are not included: leave a tenth free.
"""

from dataclasses import dataclass

from unichar.cost.flops import Sizes, Stack
from unichar.cost.workload import TextLengths
from unichar.sft.config import SftConfig

_BF16, _FP32 = 2, 4
"""Bytes per number."""
_INSIDE = 2
"""Within a layer, gradients of activations exist next to the activations."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on one GPU."""

    weights: float
    """Its shard of all weights, in the type they are stored in."""
    gradients: float
    optimizer: float
    gathered: float
    """Unsharded layers."""
    activations: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return self.weights + self.gradients + self.optimizer + self.gathered + self.activations


def sft_memory(
    sizes: Sizes,
    texts: TextLengths,
    config: SftConfig,
    *,
    parameters: int,
    trainable: int,
    full: bool,
    gpus: int,
    microbatches: int,
) -> Memory:
    """Memory of one of `gpus` GPUs, each of which splits its part of a step into `microbatches`.

    Args:
        sizes: Of the model.
        texts: Lengths of the interactions.
        config: Settings of SFT.
        parameters: Parameters of the model without adapters.
        trainable: Trained parameters; with `full` they are included in `parameters`.
        full: Full tuning instead of adapters.
        gpus: Number of ranks.
        microbatches: Per rank and step.
    """
    # Rounded up: the fullest microbatch decides.
    parts = gpus * microbatches
    pictures, conversations = -(-config.pictures // parts), -(-config.conversations // parts)

    # With adapters all of the model is frozen, and what is trained comes on top.
    frozen = parameters - trainable if full else parameters
    layers = _layer_parameters(sizes.text) + _layer_parameters(sizes.gen)

    return Memory(
        # Sharded evenly: weights, gradients, and AdamW's two moments per trained number.
        weights=(_BF16 * frozen + _FP32 * trainable) / gpus,
        gradients=_FP32 * trainable / gpus,
        optimizer=2 * _FP32 * trainable / gpus,
        # The current layer of both experts and the prefetched one; a single GPU gathers nothing.
        gathered=2 * _BF16 * layers if gpus > 1 else 0.0,
        # Text and pictures have backward passes of their own, so only the larger graph counts.
        activations=max(
            _image_activations(sizes, texts, pictures),
            _text_activations(sizes, texts, config, conversations),
        ),
    )


def fewest_microbatches(
    sizes: Sizes,
    texts: TextLengths,
    config: SftConfig,
    *,
    parameters: int,
    trainable: int,
    full: bool,
    gpus: int,
    limit: float,
) -> tuple[int, Memory]:
    """(fewest microbatches that fit into `limit` bytes, memory then); one item each if nothing fits."""
    # At most one item per microbatch and GPU.
    most = max(1, -(-max(config.pictures, config.conversations) // gpus))

    # Tried one by one: memory falls with their number, and there are few of them.
    microbatches, memory = 0, None
    while memory is None or (memory.total > limit and microbatches < most):
        microbatches += 1
        memory = sft_memory(
            sizes,
            texts,
            config,
            parameters=parameters,
            trainable=trainable,
            full=full,
            gpus=gpus,
            microbatches=microbatches,
        )

    return microbatches, memory


def _layer_parameters(stack: Stack) -> int:
    """Parameters of the matrices of one layer."""
    return sum(inputs * outputs for inputs, outputs in stack.matrices)


def _inside(stack: Stack, tokens: float) -> float:
    """Bytes of all activations of one layer."""
    # Outputs of all matrices, and four tensors of the layer's width beside them.
    return _BF16 * tokens * (stack.width * 4 + sum(outputs for _, outputs in stack.matrices))


def _image_activations(sizes: Sizes, texts: TextLengths, pictures: int) -> float:
    """Bytes of a microbatch of pictures and of their prompts' keys and values."""
    stack, tokens = sizes.gen, pictures * sizes.tokens

    # Keys and values of every layer for the prompt of each picture, as if no two shared one.
    contexts = _BF16 * 2 * pictures * texts.prompt * stack.layers * stack.kv_heads * stack.head_size

    inside = _inside(stack, tokens)
    if not sizes.recompute:
        return stack.layers * inside + contexts

    # With checkpointing only the inputs of layers are kept, and one layer at a time is expanded.
    inputs = _BF16 * tokens * stack.width * stack.layers
    return inputs + contexts + _INSIDE * inside


def _text_activations(sizes: Sizes, texts: TextLengths, config: SftConfig, conversations: int) -> float:
    """Bytes of a microbatch of the longest conversations, their logits included."""
    # The longest kind of conversation that is trained on, since any step may hold only such.
    tokens = targets = 0.0
    for kind, lengths in texts.conversations.items():
        if config.mix.get(kind, 0) > 0:
            tokens = max(tokens, lengths.tokens + (sizes.seen_tokens if lengths.pictures else 0))
            targets = max(targets, lengths.targets)
    tokens, targets = conversations * tokens, conversations * targets

    stack = sizes.text

    # Logits count as three fp32 tensors of the vocabulary's size per target token.
    logits = 3 * _FP32 * targets * sizes.vocabulary
    inside = _inside(stack, tokens)

    if not (sizes.recompute or config.checkpointing):
        return stack.layers * inside + logits
    return _BF16 * tokens * stack.width * stack.layers + _INSIDE * inside + logits
