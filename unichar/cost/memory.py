"""Estimated memory of one GPU during SFT and GRPO, and the fewest microbatches that fit. No torch.

Weights, gradients and optimizer state are counted. Frozen weights are bf16, or NF4 within the layers of both
experts; trained ones fp32, with fp32 gradients and two moments (AdamW). Sharded (FSDP2), every rank holds its
part of the layers, and two layers of both experts unsharded, the current one and the prefetched one.

Activations follow from what the code keeps, held to within a tenth of a count on fake tensors at real size
(`tools/count_memory.py`, `tests/cost/test_memory.py`). With activation checkpointing each layer keeps its
input, and the layer that is recomputed has all its activations and some of their gradients. The peak lies in
the backward pass of its MLP.

Workspaces of kernels, the CUDA context, judges and fragmentation are not included: a tenth is left free.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from unichar.cost.flops import Sizes, Stack
from unichar.cost.workload import TextLengths
from unichar.grpo.config import GrpoConfig
from unichar.sft.config import SftConfig
from unichar.types import Quantization

FREE = 0.1
"""Fraction of a GPU's memory that is left free for what is not counted."""

_BF16, _FP32 = 2, 4
"""Bytes per number."""
_QUANTIZED = {"": _BF16, "nf4": 0.5 + 4 / 64, "nf4-double": 0.5 + 1 / 64 + 4 / (64 * 256)}
"""Bytes per number of a frozen layer. NF4: 4 bits, and a scale for each block of 64, which is fp32, or 8 bits
with an fp32 scale for each 256 scales."""

# Tensors of a layer at its peak, as (of the layer's width, of the MLP's width), bf16 each.
_TRAINING = (6, 7)
"""Backward: the MLP's gate, its SiLU, up and product, and three gradients; beside it what attention keeps."""
_DRAWING = (3, 4)
"""Forward without gradients: the MLP's four."""
_KEPT = (8, 4)
"""What a layer without activation checkpointing keeps for its backward pass."""
_ENDS = 2
"""Tensors of the layer's width that embedding and final norm keep, as many as two more layers."""
_LOGITS = 3
"""fp32 tensors of the vocabulary's size per target token while its loss is differentiated."""
_PACKED = 8192
"""Tokens of conversations that are read in one pass; each pass of a microbatch keeps its layers' inputs."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on one GPU."""

    weights: float
    """Its shard of all weights, in the type they are stored in."""
    gradients: float
    optimizer: float
    copies: float
    """Policies of GRPO beside the trained one."""
    gathered: float
    """Unsharded layers, or one matrix in bf16 of weights in 4 bits."""
    activations: float

    @property
    def total(self) -> float:
        """Sum of all parts."""
        parts = self.weights + self.gradients + self.optimizer + self.copies
        return parts + self.gathered + self.activations


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model as training holds it."""

    sizes: Sizes
    parameters: int
    """Of the base, the autoencoder included."""
    autoencoder: int
    """Of them, those that are never trained."""
    adapters: Mapping[str, int]
    """Component (`und`, `gen`) -> parameters of its adapters."""
    full: bool = False
    """Full tuning instead of adapters; quantised weights cannot be tuned."""
    quantize: Quantization = ""

    @property
    def trainable(self) -> int:
        """Parameters that SFT trains."""
        return self.parameters - self.autoencoder if self.full else sum(self.adapters.values())

    @property
    def trained_on_pictures(self) -> int:
        """Parameters that GRPO trains, those of the generation expert."""
        gen = self.sizes.gen
        return gen.layers * _layer_parameters(gen) if self.full else self.adapters["gen"]

    def weights(self, shards: int) -> float:
        """Bytes of one GPU's weights."""
        if self.full:
            return (_FP32 * self.trainable + _BF16 * self.autoencoder) / shards

        # Only layers of the experts are quantised or sharded; embeddings, tower and autoencoder are whole.
        layers = self._layers
        inside = _QUANTIZED[self.quantize] * layers + _FP32 * self.trainable
        return inside / shards + _BF16 * (self.parameters - layers)

    @property
    def _layers(self) -> int:
        """Parameters of all matrices in the layers of both experts."""
        stacks = (self.sizes.text, self.sizes.gen)
        return sum(stack.layers * _layer_parameters(stack) for stack in stacks)

    def gathered(self, shards: int) -> float:
        """Bytes of weights that exist for one layer at a time."""
        if shards > 1:
            # The current layer of both experts and the prefetched one.
            return 2 * _BF16 * (_layer_parameters(self.sizes.text) + _layer_parameters(self.sizes.gen))
        return _BF16 * self.sizes.gen.width * self.sizes.gen.mlp if self.quantize else 0.0


def sft_memory(
    loaded: Loaded, texts: TextLengths, config: SftConfig, *, ranks: int, shards: int, microbatches: int
) -> Memory:
    """Memory of one GPU during a step of SFT.

    Args:
        loaded: The model.
        texts: Lengths of the interactions.
        config: Settings of SFT.
        ranks: GPUs that share the items of a step.
        shards: GPUs that share the weights, 1 or `ranks`.
        microbatches: Per rank and step.
    """
    # Rounded up: the fullest microbatch decides. Own and prior-preservation pictures have their own passes.
    parts = ranks * microbatches
    pictures = _parts(max(config.pictures, config.prior_pictures if config.pictures else 0), parts)
    conversations = _parts(config.conversations, parts)

    # Text and pictures have backward passes of their own, so only the larger graph counts.
    activations = max(
        _picture_activations(loaded.sizes, texts.prompt, pictures, prompts=min(pictures, config.prompts)),
        _text_activations(loaded.sizes, texts, config, conversations),
        _drawing_activations(loaded.sizes) if config.prior == "base" and config.prior_pictures else 0.0,
    )
    return Memory(
        weights=loaded.weights(shards),
        gradients=_FP32 * loaded.trainable / shards,
        optimizer=2 * _FP32 * loaded.trainable / shards,
        copies=0.0,
        gathered=loaded.gathered(shards),
        activations=activations,
    )


def grpo_memory(
    loaded: Loaded, texts: TextLengths, config: GrpoConfig, *, ranks: int, shards: int, microbatches: int
) -> Memory:
    """Memory of one GPU during a round of GRPO; arguments as of `sft_memory`."""
    rollout = config.rollout
    pictures = _parts(min(rollout.prompts, rollout.step_prompts) * rollout.group, ranks * microbatches)

    # The reference, the best so far, and the live one while another is swapped in; DiffusionNFT also has a
    # policy that samples.
    policies = 4 if config.algorithm == "nft" else 3
    trained = loaded.trained_on_pictures

    # Contexts are read without gradients, so they count little; a picture is decoded before it is scored.
    activations = _picture_activations(loaded.sizes, texts.plain, pictures, prompts=0)
    if config.algorithm == "flow_grpo" and config.flow_grpo.guidance > 1:
        # Both passes of the guidance have gradients, and go backward one after the other.
        tokens = pictures * (loaded.sizes.tokens + loaded.sizes.markers)
        activations += _graph(loaded.sizes.gen, tokens, recompute=loaded.sizes.recompute)
    activations = max(activations, _drawing_activations(loaded.sizes))
    return Memory(
        weights=loaded.weights(shards),
        gradients=_FP32 * trained / shards,
        optimizer=2 * _FP32 * trained / shards,
        copies=policies * _FP32 * trained / shards,
        gathered=loaded.gathered(shards),
        activations=activations,
    )


def drawing_memory(loaded: Loaded) -> Memory:
    """Memory of one GPU that draws with trained adapters, as reports do."""
    return Memory(
        weights=loaded.weights(1),
        gradients=0.0,
        optimizer=0.0,
        copies=0.0,
        gathered=loaded.gathered(1),
        activations=_drawing_activations(loaded.sizes),
    )


def fewest_microbatches(memory: Callable[[int], Memory], *, most: int, card: float) -> tuple[int, Memory]:
    """(fewest microbatches that leave `FREE` of a card's memory, memory then); `most` if nothing fits.

    Args:
        memory: Memory with a number of microbatches.
        most: Number of microbatches with one item each.
        card: Bytes of the card.
    """
    # Tried one by one: memory falls with their number, and there are few of them.
    microbatches = 1
    while not fits(memory(microbatches), card) and microbatches < most:
        microbatches += 1
    return microbatches, memory(microbatches)


def fits(memory: Memory, card: float) -> bool:
    """Whether `FREE` of a card's memory is left."""
    return memory.total <= (1 - FREE) * card


def most_microbatches(config: SftConfig | GrpoConfig, ranks: int) -> int:
    """Number of microbatches that have one item each: more would only add empty ones."""
    if isinstance(config, SftConfig):
        return _parts(max(config.pictures, config.prior_pictures, config.conversations), ranks)
    rollout = config.rollout
    return _parts(min(rollout.prompts, rollout.step_prompts) * rollout.group, ranks)


def _parts(count: int, parts: int) -> int:
    """Items of the fullest of `parts` parts."""
    return -(-count // parts)


def _layer_parameters(stack: Stack) -> int:
    """Parameters of the matrices of one layer."""
    return sum(inputs * outputs for inputs, outputs in stack.matrices)


def _inside(stack: Stack, tokens: float, tensors: tuple[int, int]) -> float:
    """Bytes of a layer's activations: so many tensors of its width and of its MLP's."""
    widths, mlps = tensors
    return _BF16 * tokens * (widths * stack.width + mlps * stack.mlp)


def _graph(stack: Stack, tokens: float, *, recompute: bool) -> float:
    """Bytes that a forward pass keeps: inputs of layers, or all their activations."""
    if not recompute:
        return stack.layers * _inside(stack, tokens, _KEPT)
    return _BF16 * tokens * stack.width * (stack.layers + _ENDS)


def _picture_activations(sizes: Sizes, prompt: int, pictures: int, *, prompts: int) -> float:
    """Bytes of a training pass over pictures, with the graph of `prompts` that are trained through, too."""
    tokens = pictures * (sizes.tokens + sizes.markers)

    # Prompts are read before the pictures, and their graph waits for the gradients of these.
    kept = _graph(sizes.gen, tokens, recompute=sizes.recompute)
    if not sizes.keeps_contexts:
        kept += _graph(sizes.text, prompts * prompt, recompute=sizes.recompute)
    return kept + _inside(sizes.gen, tokens, _TRAINING)


def _text_activations(sizes: Sizes, texts: TextLengths, config: SftConfig, conversations: int) -> float:
    """Bytes of a microbatch of the longest conversations, their logits included."""
    # The longest kind of conversation that is trained on, since any step may hold only such.
    each = targets = 0.0
    for kind, lengths in texts.conversations.items():
        if config.mix.get(kind, 0) > 0:
            each = max(each, lengths.tokens + (sizes.seen_tokens if lengths.pictures else 0))
            targets = max(targets, lengths.targets)
    tokens, targets = conversations * each, conversations * targets

    # Each pass keeps its graph until the backward pass, which goes through one of them at a time.
    kept = _graph(sizes.text, tokens, recompute=sizes.recompute or config.checkpointing)
    inside = _inside(sizes.text, min(tokens, max(each, _PACKED)), _TRAINING)

    # Logits come before the layers in the backward pass.
    return kept + max(inside, _LOGITS * _FP32 * targets * sizes.vocabulary)


def _drawing_activations(sizes: Sizes) -> float:
    """Bytes while the pictures that are drawn together go through a layer, or one through the decoder."""
    drawn = _inside(sizes.gen, sizes.drawn * (sizes.tokens + sizes.markers), _DRAWING)
    return max(drawn, sizes.decoding)
