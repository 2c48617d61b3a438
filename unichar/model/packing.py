"""Conversations -> rows in which every shared beginning stands once, and the losses read back out of them. Pure tensors.

Most conversations of a character open with the same card, questions about a picture open with the same picture. Sorted, such
neighbours share beginnings, so a row holds of each conversation only what the one before it does not begin with:

    card · hello · reply        place  0 1 2 | 3 4      a token's place is its depth in its own conversation,
    card · bye   · reply                     | 3 4      and it sees its own conversation alone

A forward pass over a row computes exactly what the conversations alone would; gradients through shared tokens are sums. What
a row sees is cut into blocks of queries: a block needs the tokens its first one sees and itself, not the whole row.

Letters: T tokens of a row, S of them predict, N losses, Q queries of a block, K tokens it sees.
Departs from BAGEL's packing, which lays whole samples one after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from unichar.model.tokens import IMAGE, TokenSequence

BUDGET = 2048
"""Tokens of a row, unless a single conversation is longer."""
BLOCK = 64
"""Queries of a block."""

Key = tuple[int, str, int]
"""What makes a token the same as another after the same beginning: its id, or its picture and the place in it."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Queries `start` to `end` of a row and what they see."""

    start: int
    end: int
    seen: Tensor
    """Positions [K] in the row: those the first query sees, then the queries themselves."""
    hidden: Tensor
    """bool [Q, K]: what each query does not see of that."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Some conversations as one row of tokens."""

    members: tuple[int, ...]
    """Which conversations, in the order of their losses."""
    ids: Tensor
    """[T], IMAGE where a picture stands."""
    places: Tensor
    """[T] position of each token in its own conversation."""
    images: list[str]
    """Every picture once."""
    image_places: Tensor
    """[number of IMAGE]: which token of the pictures above, counted through, stands there."""
    blocks: tuple[Block, ...]
    sources: Tensor
    """[S] positions that predict, each once."""
    predicted: Tensor
    """[N] which source predicts each loss."""
    targets: Tensor
    """[N] the token that is predicted."""
    lengths: tuple[int, ...]
    """Losses of each member."""


@dataclass(frozen=True, kw_only=True)
class PackingStats:
    """What packing was worth, in tokens."""

    given: int = 0
    """Tokens of the conversations, each read alone."""
    computed: int = 0
    """Tokens in rows."""
    targets: int = 0
    """Losses."""

    @property
    def shared(self) -> int:
        """Tokens that another conversation had already."""
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
) -> list[Row]:
    """Every conversation in one of the rows. A function of the conversations alone, whatever their order.

    Args:
        sequences: Conversations.
        image_tokens: Placeholders of a picture.
        limit: The most tokens a conversation may have.
        budget: Tokens of a row, unless a single conversation is longer.
        block: Queries of a block.

    Raises:
        ValueError: A conversation is longer than `limit`; it is named by its number.
    """
    keys = [_keys(sequence, image_tokens) for sequence in sequences]
    for number, sequence in enumerate(sequences):
        if len(sequence.ids) > limit:
            raise ValueError(
                f"conversation {number + 1} of {len(sequences)} has {len(sequence.ids)} tokens, the model reads at most {limit}: "
                "shorten the description or the texts in it, or split it into two"
            )
        assert sequence.loss[:1] != [True], "nothing predicts a first token"
    order = sorted(range(len(sequences)), key=lambda number: keys[number])
    return [
        _row(members, [sequences[i] for i in members], [keys[i] for i in members], image_tokens, block)
        for members in _split(order, keys, budget)
    ]


def stats_of(sequences: Sequence[TokenSequence], rows: Sequence[Row]) -> PackingStats:
    """What packing these conversations into these rows was worth."""
    return PackingStats(
        given=sum(len(sequence.ids) for sequence in sequences),
        computed=sum(len(row.ids) for row in rows),
        targets=sum(sum(row.lengths) for row in rows),
    )


def _keys(sequence: TokenSequence, image_tokens: int) -> list[Key]:
    """One key a token."""
    pictures = iter((IMAGE, name, place) for name in sequence.images for place in range(image_tokens))
    return [next(pictures) if token == IMAGE else (token, "", 0) for token in sequence.ids]


def _shared(one: Sequence[Key], other: Sequence[Key]) -> int:
    """Tokens both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _split(order: Sequence[int], keys: Sequence[Sequence[Key]], budget: int) -> Iterator[list[int]]:
    """Sorted conversations, cut where a row would grow beyond the budget."""
    row: list[int] = []
    length = 0
    for number in order:
        new = len(keys[number]) - (_shared(keys[row[-1]], keys[number]) if row else 0)
        if row and length + new > budget:
            yield row
            row, length, new = [], 0, len(keys[number])
        row.append(number)
        length += new
    if row:
        yield row


def _row(
    members: Sequence[int],
    sequences: Sequence[TokenSequence],
    keys: Sequence[Sequence[Key]],
    image_tokens: int,
    block: int,
) -> Row:
    """One row of sorted conversations."""
    tokens: list[Key] = []
    places: list[int] = []
    ends: list[int] = []  # the first position that does not go on from this token
    paths: list[list[int]] = []
    path: list[int] = []
    for number, own in enumerate(keys):
        common = _shared(keys[number - 1], own) if number else 0
        for position in path[common:]:
            ends[position] = len(tokens)
        path = path[:common] + list(range(len(tokens), len(tokens) + len(own) - common))
        tokens += own[common:]
        places += range(common, len(own))
        ends += [-1] * (len(own) - common)
        paths.append(path)
    images = list(dict.fromkeys(name for token, name, _ in tokens if token == IMAGE))
    learned = [
        (path[i - 1], sequence.ids[i])
        for path, sequence in zip(paths, sequences, strict=True)
        for i in range(len(path))
        if sequence.loss[i]
    ]
    sources = sorted({source for source, _ in learned})
    return Row(
        members=tuple(members),
        ids=torch.tensor([token for token, _, _ in tokens]),
        places=torch.tensor(places),
        images=images,
        image_places=torch.tensor(
            [images.index(name) * image_tokens + place for token, name, place in tokens if token == IMAGE],
            dtype=torch.long,
        ),
        blocks=_blocks(torch.tensor([end if end >= 0 else len(tokens) for end in ends]), block),
        sources=torch.tensor(sources, dtype=torch.long),
        predicted=torch.tensor([sources.index(source) for source, _ in learned], dtype=torch.long),
        targets=torch.tensor([target for _, target in learned], dtype=torch.long),
        lengths=tuple(sum(sequence.loss) for sequence in sequences),
    )


def _blocks(ends: Tensor, size: int) -> tuple[Block, ...]:
    """A token sees those before it whose conversations it goes on: in [position, end) of theirs."""
    positions = torch.arange(len(ends))
    blocks = []
    for start in range(0, len(ends), size):
        queries = positions[start : start + size]
        # Whatever a later query of the block sees before the block, the first one sees too: it lies on the way there.
        before = positions[:start][ends[:start] > start]
        seen = torch.cat([before, queries])
        hidden = (seen > queries[:, None]) | (ends[seen] <= queries[:, None])
        blocks.append(Block(start=start, end=start + len(queries), seen=seen, hidden=hidden))
    return tuple(blocks)
