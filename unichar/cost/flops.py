"""What a pass costs: floating point operations of a unified model, from its sizes and how much it reads and draws. No torch.

    cost = drawing(sizes, pictures=24, prompts=6, context=60, rank=64)
    cost.forward, cost.training(full=False, recompute=True)

Matrix products count, two operations a multiply-add; norms, softmax and the like do not. Attention counts for all pairs of
places, as kernels compute it under a mask. Convolutions of the autoencoder are added up from its channels. The same functions
serve nano and BAGEL: `sizes.py` says how large they are. Tests hold them against what PyTorch counts in a real step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A transformer: `layers` times attention and an MLP."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    gated: bool = True
    """SwiGLU of three matrices instead of an MLP of two."""

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of every matrix of one layer."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = ((self.width, queries), (self.width, keys), (self.width, keys), (queries, self.width))
        return attention + ((self.width, self.mlp),) * (2 if self.gated else 1) + ((self.mlp, self.width),)

    def attention(self, queries: int, places: int) -> float:
        """Scores and mixing of `queries` that each look at `places`, all layers."""
        return 4.0 * self.layers * queries * places * self.heads * self.head_size


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix outside the layers of the generation expert."""

    inputs: int
    outputs: int
    per: Literal["token", "picture", "word"]
    """What is multiplied: latent tokens, pictures, or words of a prompt."""
    count: int = 1
    adapted: bool = False
    """Whether it gets adapters."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """All of a model that decides its costs, at one picture size."""

    name: str
    text: Stack
    vocabulary: int
    gen: Stack
    gen_matrices: tuple[Matrix, ...]
    tokens: int
    """Latent tokens of a picture."""
    markers: int
    """Words that go through the text expert beside every picture that is drawn."""
    tower: Stack
    tower_entry: float
    """Operations before the tower's layers, a picture."""
    patches: int
    """Places of a seen picture in the tower."""
    seen_tokens: int
    """Places of a seen picture in a conversation."""
    connector: float
    """Operations between tower and text, a picture."""
    encode: float
    """Operations of the autoencoder: pixels to latents, a picture."""
    decode: float
    """And back."""
    recompute: bool
    """Whether layers always run again on the way back, to keep less."""
    keeps_contexts: bool
    """Whether a prompt is read once a run rather than once a step."""
    guided_above: float
    """Guidance acts at times above this; 0 for always."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Operations of forward passes."""

    linear: float = 0.0
    """Products with weights."""
    attention: float = 0.0
    adapters: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            linear=self.linear + other.linear,
            attention=self.attention + other.attention,
            adapters=self.adapters + other.adapters,
        )

    @property
    def forward(self) -> float:
        """All of it, once."""
        return self.linear + self.attention + self.adapters

    def training(self, *, full: bool, recompute: bool) -> float:
        """Forward and backward. Frozen weights only pass gradients on; with `recompute` layers run again on the way back."""
        backward = (2 if full else 1) * self.linear + 2 * self.attention + 2 * self.adapters
        return self.forward * (2 if recompute else 1) + backward


def reading(sizes: Sizes, lengths: Sequence[int], *, targets: int = 0, rank: int = 0) -> Cost:
    """The text expert over conversations of so many tokens, with logits at `targets` of them."""
    stack, total = sizes.text, sum(lengths)
    linear = 2.0 * (total * _weights(stack) + targets * stack.width * sizes.vocabulary)
    attention = sum(stack.attention(length, length) for length in lengths)
    return Cost(linear=linear, attention=attention, adapters=2.0 * total * rank * _rims(stack))


def writing(sizes: Sizes, length: int, *, tokens: int, rank: int = 0) -> Cost:
    """A reply of `tokens` after a conversation of `length`, keys and values kept."""
    read = reading(sizes, [length + tokens], targets=tokens, rank=rank)
    # Each new token looks at what stands before it, on average at half of the new ones.
    attention = sizes.text.attention(length, length) + sizes.text.attention(tokens, length + tokens // 2)
    return Cost(linear=read.linear, attention=attention, adapters=read.adapters)


def seeing(sizes: Sizes, pictures: int) -> Cost:
    """Tower and connector over pictures; they are never trained."""
    once = sizes.tower_entry + 2.0 * sizes.patches * _weights(sizes.tower) + sizes.connector
    return Cost(
        linear=pictures * once, attention=pictures * sizes.tower.attention(sizes.patches, sizes.patches)
    )


def drawing(sizes: Sizes, *, pictures: int, prompts: int, context: int, rank: int = 0) -> Cost:
    """One velocity of `pictures` whose `prompts` of `context` tokens each have been read already (`reading`)."""
    stack, amounts = (
        sizes.gen,
        {"token": pictures * sizes.tokens, "picture": pictures, "word": prompts * context},
    )
    linear = 2.0 * amounts["token"] * _weights(stack) + 2.0 * pictures * sizes.markers * _weights(sizes.text)
    adapters = 2.0 * amounts["token"] * rank * _rims(stack)
    for matrix in sizes.gen_matrices:
        amount = amounts[matrix.per] * matrix.count
        linear += 2.0 * amount * matrix.inputs * matrix.outputs
        adapters += 2.0 * amount * rank * (matrix.inputs + matrix.outputs) if matrix.adapted else 0.0
    places = sizes.tokens + sizes.markers
    return Cost(
        linear=linear, attention=pictures * stack.attention(places, context + places), adapters=adapters
    )


def adapter_parameters(sizes: Sizes, *, und_rank: int, gen_rank: int) -> dict[str, int]:
    """Trainable numbers of both sides' adapters on every matrix that gets them."""
    around = sum(m.count * (m.inputs + m.outputs) for m in sizes.gen_matrices if m.adapted)
    return {"und": und_rank * _rims(sizes.text), "gen": gen_rank * (_rims(sizes.gen) + around)}


def _weights(stack: Stack) -> int:
    return stack.layers * sum(inputs * outputs for inputs, outputs in stack.matrices)


def _rims(stack: Stack) -> int:
    """Inputs and outputs of all matrices: an adapter has rank times as many numbers."""
    return stack.layers * sum(inputs + outputs for inputs, outputs in stack.matrices)
