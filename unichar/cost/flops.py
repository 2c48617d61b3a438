"""FLOPs of forward and backward passes of a unified model, from its sizes and the tokens and pictures. No
torch.

    cost = image_forward(sizes, pictures=24, prompts=6, context=60, rank=64)
    cost.forward, cost.training(full=False, recompute=True)

Counts matrix products and convolutions, two FLOPs per multiply-add; norms, softmax and elementwise operations
are left out. Attention counts all pairs of positions, as kernels compute it under a mask. The same functions
serve nano and BAGEL: `sizes.py` holds their sizes. Tests compare the counts with `torch.utils.flop_counter`
on real passes. Closed forms are used because a cost estimate needs some thirty passes of different lengths,
and the counter takes 0.4 s for a forward and 3 s for a training pass of BAGEL on the meta device; nano's
forward does not run there (its context is cut to a length that depends on data).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A transformer: `layers` layers of attention and an MLP."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    gated: bool = True
    """SwiGLU with three matrices instead of an MLP with two."""

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every matrix of one layer."""
        # Fewer key and value heads than query heads: grouped-query attention.
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = ((self.width, queries), (self.width, keys), (self.width, keys), (queries, self.width))

        # Up (and gate), then down.
        mlp = ((self.width, self.mlp),) * (2 if self.gated else 1) + ((self.mlp, self.width),)
        return attention + mlp

    def attention(self, queries: int, keys: int) -> float:
        """FLOPs of scores and of weighted values, for `queries` that each attend to `keys`, in all layers."""
        # Two products (scores, weighted values) of two FLOPs per multiply-add.
        return 4.0 * self.layers * queries * keys * self.heads * self.head_size


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix of the generation expert outside its transformer layers."""

    inputs: int
    outputs: int
    per: Literal["token", "picture", "prompt_token"]
    """What it is applied to: latent tokens, pictures, or tokens of a prompt."""
    count: int = 1
    adapted: bool = False
    """Whether adapters attach to it."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Everything about a model that determines its costs, at one picture size."""

    name: str

    # Text.
    text: Stack
    vocabulary: int

    # Generated pictures.
    gen: Stack
    gen_matrices: tuple[Matrix, ...]
    tokens: int
    """Latent tokens of a generated picture."""
    markers: int
    """Tokens that go through the text expert with every generated picture."""

    # Seen pictures.
    tower: Stack
    """Vision tower."""
    tower_entry: float
    """FLOPs per picture before the vision tower's layers."""
    patches: int
    """Tokens of a picture in the vision tower."""
    seen_tokens: int
    """Tokens of a picture in a conversation."""
    connector: float
    """FLOPs per picture between vision tower and text backbone."""

    # Autoencoder.
    encode: float
    """FLOPs per picture of the autoencoder, pixels to latents."""
    decode: float
    """FLOPs per picture of the autoencoder, latents to pixels."""

    # Memory.
    drawn: int
    """Pictures that are drawn together; 0 where it does not matter."""
    decoding: float
    """Bytes of activations while one picture is decoded."""

    # How passes are run.
    recompute: bool
    """Whether activation checkpointing is always on."""
    keeps_contexts: bool
    """Whether a prompt is encoded once per run instead of once per step."""
    guided_above: float
    """Guidance applies at times above this; 0 for always."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """FLOPs of forward passes."""

    linear: float = 0.0
    """Products with frozen or fully tuned weights."""
    attention: float = 0.0
    """Products of activations with each other."""
    adapters: float = 0.0
    """Products with low-rank matrices, which are always trained."""

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            linear=self.linear + other.linear,
            attention=self.attention + other.attention,
            adapters=self.adapters + other.adapters,
        )

    @property
    def forward(self) -> float:
        """FLOPs of one forward pass."""
        return self.linear + self.attention + self.adapters

    def training(self, *, full: bool, recompute: bool) -> float:
        """FLOPs of forward and backward.

        Frozen weights cost one product in the backward pass, for the gradient of their input; trained ones
        two. With `recompute` the forward pass is computed twice (activation checkpointing).
        """
        # Adapters and both factors of attention need two products each: by input and by weight or factor.
        backward = (2 if full else 1) * self.linear + 2 * self.attention + 2 * self.adapters
        return self.forward * (2 if recompute else 1) + backward


def text_forward(sizes: Sizes, lengths: Sequence[int], *, targets: int = 0, rank: int = 0) -> Cost:
    """The text backbone over conversations of the given lengths, with logits at `targets` of the tokens."""
    stack, total = sizes.text, sum(lengths)

    # Logits are computed for target tokens only, as the models do; they are a large product.
    linear = 2.0 * (total * _weights(stack) + targets * stack.width * sizes.vocabulary)

    # Conversations do not attend to each other, although they are packed together.
    attention = sum(stack.attention(length, length) for length in lengths)

    return Cost(linear=linear, attention=attention, adapters=2.0 * total * rank * _adapter_width(stack))


def text_decoding(sizes: Sizes, length: int, *, tokens: int, rank: int = 0) -> Cost:
    """Decoding a reply of `tokens` after a conversation of `length`, with a KV cache."""
    # Products with weights are those of one pass over all tokens, since keys and values are kept.
    read = text_forward(sizes, [length + tokens], targets=tokens, rank=rank)

    # Each new token attends to everything before it, on average to half of the new tokens.
    attention = sizes.text.attention(length, length) + sizes.text.attention(tokens, length + tokens // 2)

    return Cost(linear=read.linear, attention=attention, adapters=read.adapters)


def vision_forward(sizes: Sizes, pictures: int) -> Cost:
    """Vision tower and connector; adapters do not attach to them."""
    once = sizes.tower_entry + 2.0 * sizes.patches * _weights(sizes.tower) + sizes.connector
    return Cost(
        linear=pictures * once, attention=pictures * sizes.tower.attention(sizes.patches, sizes.patches)
    )


def image_forward(sizes: Sizes, *, pictures: int, prompts: int, context: int, rank: int = 0) -> Cost:
    """One velocity of `pictures`, given the contexts of `prompts` with `context` tokens each
    (`text_forward`).
    """
    stack = sizes.gen

    # How often each kind of matrix is applied.
    amounts = {"token": pictures * sizes.tokens, "picture": pictures, "prompt_token": prompts * context}

    # Layers of the expert over latent tokens, and of the text expert over the markers around them.
    linear = 2.0 * amounts["token"] * _weights(stack) + 2.0 * pictures * sizes.markers * _weights(sizes.text)
    adapters = 2.0 * amounts["token"] * rank * _adapter_width(stack)

    # Projections around the layers; those on prompts are computed once per prompt, not per picture.
    for matrix in sizes.gen_matrices:
        amount = amounts[matrix.per] * matrix.count
        linear += 2.0 * amount * matrix.inputs * matrix.outputs
        adapters += 2.0 * amount * rank * (matrix.inputs + matrix.outputs) if matrix.adapted else 0.0

    # Latent tokens attend to their prompt and to each other.
    tokens = sizes.tokens + sizes.markers
    attention = pictures * stack.attention(tokens, context + tokens)
    return Cost(linear=linear, attention=attention, adapters=adapters)


def adapter_parameters(sizes: Sizes, *, und_rank: int, gen_rank: int) -> dict[str, int]:
    """Trainable parameters of the adapters of each component."""
    # Low-rank matrices of rank r have r x (inputs + outputs) parameters.
    around = sum(m.count * (m.inputs + m.outputs) for m in sizes.gen_matrices if m.adapted)
    return {
        "und": und_rank * _adapter_width(sizes.text),
        "gen": gen_rank * (_adapter_width(sizes.gen) + around),
    }


def _weights(stack: Stack) -> int:
    return stack.layers * sum(inputs * outputs for inputs, outputs in stack.matrices)


def _adapter_width(stack: Stack) -> int:
    """Sum of inputs and outputs of all matrices; adapters have rank times as many parameters."""
    return stack.layers * sum(inputs + outputs for inputs, outputs in stack.matrices)
