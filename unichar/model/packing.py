"""Packs conversations into sequences in which every shared prefix stands once. Pure tensors.

Most conversations of a character begin with the same character card, and questions about a picture begin with
the same picture. Sorted, such neighbours share prefixes; a packed sequence holds of each conversation only
the suffix that differs from the one before it:

    card · hello · reply        position  0 1 2 | 3 4      a token's position is its index in its own
    conversation, card · bye   · reply                        | 3 4      and it attends to its own
    conversation only

A forward pass over a packed sequence computes exactly what the conversations alone would; gradients through
shared tokens are sums. Attention is cut into blocks of queries: a block attends to the ancestors of its first
query and to itself, not to the whole sequence.

Shape letters: T tokens of a packed sequence, S of them have logits, N losses, Q queries of a block, K keys of
a block. Departs from BAGEL's packing, which concatenates whole samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from unichar.errors import UserError
from unichar.model.tokens import IMAGE, TokenSequence

BUDGET = 2048
"""Tokens of a packed sequence, unless a single conversation is longer."""
BLOCK = 64
"""Queries of an attention block."""

Key = tuple[int, str, int]
"""Identity of a token after equal prefixes: (id, "", 0), or (IMAGE, picture, index within the picture)."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Queries `start` to `end` of a packed sequence, and the keys they attend to."""

    start: int
    end: int
    keys: Tensor
    """[K] positions in the packed sequence: the ancestors of the first query, then the queries themselves."""
    hidden: Tensor
    """bool [Q, K]: True where a query must not attend."""

    def to(self, device: torch.device) -> "Block":
        """The same on another device."""
        return replace(self, keys=self.keys.to(device), hidden=self.hidden.to(device))


@dataclass(frozen=True, kw_only=True)
class PackedSequence:
    """Several conversations as one sequence of tokens."""

    members: tuple[int, ...]
    """Indices of the conversations, in the order of their losses."""
    ids: Tensor
    """[T] token ids, IMAGE where a picture stands."""
    positions: Tensor
    """[T] index of each token in its own conversation."""
    images: list[str]
    """Every picture once."""
    image_features: Tensor
    """[number of IMAGE tokens] index into the features of `images`, flattened over pictures."""
    blocks: tuple[Block, ...]
    sources: Tensor
    """[S] positions whose logits are needed, each once."""
    loss_sources: Tensor
    """[N] index into `sources` of each loss."""
    targets: Tensor
    """[N] target token of each loss."""
    lengths: tuple[int, ...]
    """Number of losses of each member."""

    def to(self, device: torch.device) -> "PackedSequence":
        """The same on another device."""
        names = ("ids", "positions", "image_features", "sources", "loss_sources", "targets")
        moved: dict[str, Any] = {name: getattr(self, name).to(device) for name in names}
        return replace(self, blocks=tuple(block.to(device) for block in self.blocks), **moved)


@dataclass(frozen=True, kw_only=True)
class PackingStats:
    """Tokens before and after packing."""

    given: int = 0
    """Tokens of the conversations, each counted alone."""
    computed: int = 0
    """Tokens of the packed sequences."""
    targets: int = 0
    """Losses."""

    @property
    def shared(self) -> int:
        """Tokens saved by sharing prefixes."""
        return self.given - self.computed

    def __add__(self, other: "PackingStats") -> "PackingStats":
        return PackingStats(
            given=self.given + other.given,
            computed=self.computed + other.computed,
            targets=self.targets + other.targets,
        )


def pack(
    sequences: Sequence[TokenSequence],
    *,
    image_tokens: int,
    limit: int,
    budget: int = BUDGET,
    block: int = BLOCK,
) -> list[PackedSequence]:
    """Put each conversation into one of the packed sequences; the result does not depend on their order.

    Args:
        sequences: Conversations.
        image_tokens: Placeholder tokens per picture.
        limit: Largest number of tokens of a conversation.
        budget: Tokens of a packed sequence, unless a single conversation is longer.
        block: Queries of an attention block.

    Raises:
        UserError: A conversation is longer than `limit`; the message gives its number.
    """
    for number, sequence in enumerate(sequences):
        if len(sequence.ids) > limit:
            raise UserError(
                f"conversation {number + 1} of {len(sequences)} has {len(sequence.ids)} tokens, the model "
                f"reads at most {limit}: shorten the description or the texts in it, or split it into two"
            )
        assert sequence.loss[:1] != [True], "nothing predicts a first token"

    # Sorting by tokens makes conversations with a common prefix neighbours.
    keys = [_keys(sequence, image_tokens) for sequence in sequences]
    order = sorted(range(len(sequences)), key=lambda number: keys[number])

    packed = []
    for members in _split(order, keys, budget):
        own_sequences = [sequences[i] for i in members]
        own_keys = [keys[i] for i in members]
        packed.append(_pack_sorted(members, own_sequences, own_keys, image_tokens, block))
    return packed


def stats_of(sequences: Sequence[TokenSequence], packed: Sequence[PackedSequence]) -> PackingStats:
    """Token counts of conversations and of the sequences they were packed into."""
    return PackingStats(
        given=sum(len(sequence.ids) for sequence in sequences),
        computed=sum(len(one.ids) for one in packed),
        targets=sum(sum(one.lengths) for one in packed),
    )


def _keys(sequence: TokenSequence, image_tokens: int) -> list[Key]:
    """One key per token."""
    image_keys = iter((IMAGE, name, index) for name in sequence.images for index in range(image_tokens))
    return [next(image_keys) if token == IMAGE else (token, "", 0) for token in sequence.ids]


def _common_prefix(one: Sequence[Key], other: Sequence[Key]) -> int:
    """Length of the common prefix."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _split(order: Sequence[int], keys: Sequence[Sequence[Key]], budget: int) -> Iterator[list[int]]:
    """Cut the sorted conversations where a packed sequence would exceed the budget."""
    members: list[int] = []
    length = 0

    for number in order:
        shared = _common_prefix(keys[members[-1]], keys[number]) if members else 0
        new = len(keys[number]) - shared
        if members and length + new > budget:
            yield members
            members, length, new = [], 0, len(keys[number])
        members.append(number)
        length += new

    if members:
        yield members


def _pack_sorted(
    members: Sequence[int],
    sequences: Sequence[TokenSequence],
    keys: Sequence[Sequence[Key]],
    image_tokens: int,
    block: int,
) -> PackedSequence:
    """Pack sorted conversations into one sequence."""
    tokens: list[Key] = []
    positions: list[int] = []
    ends: list[int] = []  # the first packed position that is no descendant of this token; -1 while still open
    paths: list[list[int]] = []  # packed positions of each conversation's tokens
    path: list[int] = []

    for number, own in enumerate(keys):
        common = _common_prefix(keys[number - 1], own) if number else 0

        # The suffix of the previous conversation ends here.
        for position in path[common:]:
            ends[position] = len(tokens)

        path = path[:common] + list(range(len(tokens), len(tokens) + len(own) - common))
        tokens += own[common:]
        positions += range(common, len(own))
        ends += [-1] * (len(own) - common)
        paths.append(path)

    images = list(dict.fromkeys(name for token, name, _ in tokens if token == IMAGE))
    image_features = [
        images.index(name) * image_tokens + index for token, name, index in tokens if token == IMAGE
    ]
    losses = _losses(paths, sequences)
    sources = sorted({source for source, _ in losses})

    return PackedSequence(
        members=tuple(members),
        ids=torch.tensor([token for token, _, _ in tokens]),
        positions=torch.tensor(positions),
        images=images,
        image_features=torch.tensor(image_features, dtype=torch.long),
        blocks=_blocks(torch.tensor([end if end >= 0 else len(tokens) for end in ends]), block),
        sources=torch.tensor(sources, dtype=torch.long),
        loss_sources=torch.tensor([sources.index(source) for source, _ in losses], dtype=torch.long),
        targets=torch.tensor([target for _, target in losses], dtype=torch.long),
        lengths=tuple(sum(sequence.loss) for sequence in sequences),
    )


def _losses(paths: Sequence[Sequence[int]], sequences: Sequence[TokenSequence]) -> list[tuple[int, int]]:
    """(packed position that predicts, target token) of every loss, conversation by conversation."""
    losses = []
    for path, sequence in zip(paths, sequences, strict=True):
        for i in range(len(path)):
            if sequence.loss[i]:
                losses.append((path[i - 1], sequence.ids[i]))
    return losses


def _blocks(ends: Tensor, size: int) -> tuple[Block, ...]:
    """Blocks of `size` queries. A token at position p is attended to by the queries in [p, ends[p])."""
    positions = torch.arange(len(ends))
    blocks = []

    for start in range(0, len(ends), size):
        queries = positions[start : start + size]

        # A key before the block that a later query attends to ends beyond that query, so the first query
        # attends to it as well: the block needs no other keys.
        before = positions[:start][ends[:start] > start]
        keys = torch.cat([before, queries])  # [K]

        hidden = (keys > queries[:, None]) | (ends[keys] <= queries[:, None])  # [Q, K]
        blocks.append(Block(start=start, end=start + len(queries), keys=keys, hidden=hidden))
    return tuple(blocks)
