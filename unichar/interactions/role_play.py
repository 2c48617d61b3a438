"""Conversations with the character: the kit's own exchanges word for word, and composed ones around facts and tastes.

Departs from the paper: its dialogues are single-turn and text-only, these also come in two turns and with the picture
in front; and no topic that is tested is trained, where 87 of the paper's 400 test inputs also stand in training.
"""

import dataclasses
import random
from collections import Counter

from unichar.interactions import prompts
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.facts import fact_topics, story_topic
from unichar.interactions.small_talk import KEPT_FOR_TRAINING, small_talk_topics
from unichar.interactions.style_profile import Voice, hear
from unichar.interactions.tastes import taste_topics
from unichar.interactions.topics import exchanges
from unichar.interactions.wording import normalise
from unichar.types import CuratedKit, Exchange, Interaction, Segment, Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class Single:
    """One exchange with its topic.

    Example: `Single(exchange=Exchange(user="Hi!", reply="Hmph."), group="talk-greeting", form="small_talk")`
    """

    exchange: Exchange
    group: str
    form: str
    image: str = ""
    """The picture of this moment, if it has one."""


def picture_group(index: int) -> str:
    """The group of everything that belongs to the kit's picture `index`."""
    return f"picture-{index:02d}"


def role_play(kit: CuratedKit, config: InteractionsConfig, rng: random.Random) -> list[Interaction]:
    """All role-play items of both splits: single exchanges, grounded ones, then conversations of two turns."""
    held_out, training = _scenes(kit, "test"), _scenes(kit, "train")
    free, asked = _own_exchanges(kit, {normalise(s.exchange.user) for s in held_out})
    training = [
        s
        for s in training
        if normalise(s.exchange.user) not in {normalise(t.exchange.user) for t in held_out}
    ]
    asked |= {normalise(s.exchange.user) for s in [*held_out, *training]}
    room = config.num_role_play - len(held_out) - len(training) - len(free)
    free += _composed(kit, hear(kit), max(room, len(KEPT_FOR_TRAINING)), asked, rng)
    total = len(free) + len(held_out) + len(training)
    tested = _test_groups(free, round(config.test_share * total) - len(held_out), rng)
    by_split: dict[Split, list[Single]] = {
        "train": training + [s for s in free if s.group not in tested],
        "test": held_out + [s for s in free if s.group in tested],
    }
    items = []
    for split, singles in by_split.items():
        items += [_item(kit, [single], split) for single in singles]
        items += [
            _item(kit, [s], split, grounded=True)
            for s in singles
            if s.image
            for _ in range(config.num_grounded)
        ]
        items += _two_turns(kit, singles, round(config.multi_turn_share * len(singles)), split, rng)
    return items


def _scenes(kit: CuratedKit, split: Split) -> list[Single]:
    return [
        Single(
            exchange=Exchange(user=p.user, reply=p.reply),
            group=picture_group(index),
            form="scene",
            image=p.image,
        )
        for index, p in enumerate(kit.pictures)
        if p.split == split
    ]


def _own_exchanges(kit: CuratedKit, taken: set[str]) -> tuple[list[Single], set[str]]:
    """The kit's dialogues, those with the same user text as one topic; without any that a held-out picture asks."""
    groups: dict[str, str] = {}
    singles = []
    for index, exchange in enumerate(kit.dialogues):
        asked = normalise(exchange.user)
        if asked not in taken:
            groups.setdefault(asked, f"dialogue-{index:02d}")
            singles.append(Single(exchange=exchange, group=groups[asked], form="dialogue"))
    return singles, set(groups)


def _composed(kit: CuratedKit, voice: Voice, room: int, asked: set[str], rng: random.Random) -> list[Single]:
    """Up to `room` composed exchanges: one of every topic, then another of every topic, and so on.

    What every character must have practised comes first, then the facts.
    """
    others = [
        *taste_topics(kit, voice, rng),
        *small_talk_topics(kit, voice, rng),
        story_topic(kit, voice, rng),
    ]
    rng.shuffle(others)
    others.sort(key=lambda topic: topic.name not in KEPT_FOR_TRAINING)
    practised, others = others[: len(KEPT_FOR_TRAINING)], others[len(KEPT_FOR_TRAINING) :]
    queues = []
    for topic in [*practised, *fact_topics(kit, voice, rng), *others]:
        found = [e for e in exchanges(topic, voice, rng) if normalise(e.user) not in asked]
        asked |= {normalise(e.user) for e in found}
        queues.append([Single(exchange=e, group=f"talk-{topic.name}", form=topic.form) for e in found])
    rounds = max((len(queue) for queue in queues), default=0)
    singles: list[Single] = []
    said: set[str] = set()
    for single in [queue[turn] for turn in range(rounds) for queue in queues if turn < len(queue)]:
        if len(singles) < room and normalise(single.exchange.reply) not in said:
            said.add(normalise(single.exchange.reply))
            singles.append(single)
    return singles


def _test_groups(singles: list[Single], room: int, rng: random.Random) -> set[str]:
    """Groups for testing, about `room` exchanges in all.

    Facts are never among them: a fact that training never tells cannot be known, only guessed. Neither is what every
    character must have practised.
    """
    sizes = Counter(single.group for single in singles)
    kept = {f"talk-{name}" for name in KEPT_FOR_TRAINING}
    groups = [g for g in sizes if not g.startswith("talk-fact-") and g not in kept]
    tested: set[str] = set()
    for group in rng.sample(groups, len(groups)):
        if sum(sizes[g] for g in tested) + sizes[group] <= room:
            tested.add(group)
    return tested


def _two_turns(
    kit: CuratedKit, singles: list[Single], number: int, split: Split, rng: random.Random
) -> list[Interaction]:
    """Conversations of two exchanges from different topics of one split; only the second reply carries the loss."""
    items = []
    for last in rng.sample(singles, min(number, len(singles))):
        first = [single for single in singles if single.group != last.group]
        if first:
            items.append(_item(kit, [rng.choice(first), last], split))
    return items


def _item(kit: CuratedKit, turns: list[Single], split: Split, *, grounded: bool = False) -> Interaction:
    card = prompts.character_card(name=kit.name, description=kit.description, opening=kit.opening)
    segments = [Segment(type="text", value=card, role="system")]
    if grounded:
        segments.append(Segment(type="image", value=turns[-1].image, role="user"))
    for turn in turns:
        segments.append(Segment(type="text", value=turn.exchange.user, role="user"))
        segments.append(
            Segment(type="text", value=turn.exchange.reply, role="assistant", loss=turn is turns[-1])
        )
    form = "grounded" if grounded else ("two_turns" if len(turns) > 1 else turns[-1].form)
    return Interaction(
        id="", kind="role_play", form=form, split=split, group=turns[-1].group, segments=tuple(segments)
    )
