"""Conversations: the kit's own exchanges word for word, and composed ones about facts and tastes.

Departs from the paper: its dialogues are single-turn and text-only, these also come in two turns and with the
picture in front. No topic that is tested is trained, where 87 of the paper's 400 test inputs also stand in
training.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable

from unichar.interactions.context import Context
from unichar.interactions.facts import fact_topics, story_topic
from unichar.interactions.small_talk import KEPT_FOR_TRAINING, small_talk_topics
from unichar.interactions.tastes import taste_topics
from unichar.interactions.topics import Topic, exchanges
from unichar.interactions.wording import normalise
from unichar.types import CuratedKit, Exchange, Interaction, Segment, Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class Single:
    """One exchange with its topic.

    Example: `Single(exchange=Exchange(user="Hi!", reply="Hmph."), group="talk-greeting", form="small_talk")`
    """

    exchange: Exchange
    group: str
    """Exchanges of one group go to one split."""
    form: str
    image: str = ""
    """The picture that shows this exchange, as a path inside the curated kit; empty where there is none."""


def picture_group(index: int) -> str:
    """The group of all items about the kit's picture `index`."""
    return f"picture-{index:02d}"


def role_play(context: Context) -> list[Interaction]:
    """All role-play items: of each split single exchanges, grounded ones, then two-turn conversations."""
    config = context.config
    items = []
    for split, singles in _singles_by_split(context).items():
        items += [_item(context, [single], split) for single in singles]

        # Repeating an item gives its picture more weight in training.
        for single in singles:
            if single.image:
                items += [_item(context, [single], split, grounded=True)] * config.num_grounded

        items += _two_turns(context, singles, split, count=round(config.multi_turn_share * len(singles)))
    return items


def _singles_by_split(context: Context) -> dict[Split, list[Single]]:
    """Single exchanges: of pictures in their own split, dialogues and composed ones split by group."""
    kit, config = context.kit, context.config

    # What the user says on a held-out picture is asked in the test, so training leaves it out
    # wherever the kit repeats it.
    held_out = _of_pictures(kit, "test")
    tested_texts = _user_texts(held_out)
    training = [
        single for single in _of_pictures(kit, "train") if normalise(single.exchange.user) not in tested_texts
    ]
    free = _of_dialogues(kit, tested_texts)

    # The kit's own exchanges come first and composed ones fill up, but never fewer than the topics that every
    # character must learn.
    num_own = len(held_out) + len(training) + len(free)
    num_composed = max(config.num_role_play - num_own, len(KEPT_FOR_TRAINING))
    asked = tested_texts | _user_texts(training) | _user_texts(free)
    free += _composed(context, num_composed, asked)

    # Held-out pictures count towards the test, so fewer other groups have to go there.
    total = len(held_out) + len(training) + len(free)
    tested = _test_groups(context, free, size=round(config.test_share * total) - len(held_out))
    return {
        "train": training + [single for single in free if single.group not in tested],
        "test": held_out + [single for single in free if single.group in tested],
    }


def _user_texts(singles: Iterable[Single]) -> set[str]:
    """What users say, in the form in which two user inputs count as the same."""
    return {normalise(single.exchange.user) for single in singles}


def _of_pictures(kit: CuratedKit, split: Split) -> list[Single]:
    """The exchanges that pictures of one split show, each a group of its own."""
    singles = []
    for index, picture in enumerate(kit.pictures):
        if picture.split == split:
            exchange = Exchange(user=picture.user, reply=picture.reply)
            group = picture_group(index)
            singles.append(Single(exchange=exchange, group=group, form="scene", image=picture.image))
    return singles


def _of_dialogues(kit: CuratedKit, excluded: set[str]) -> list[Single]:
    """The kit's dialogues without those whose user text is excluded; equal user texts make one group."""
    groups: dict[str, str] = {}
    singles = []

    for index, exchange in enumerate(kit.dialogues):
        asked = normalise(exchange.user)
        if asked not in excluded:
            # The first exchange with a user text names the group of all that repeat it.
            groups.setdefault(asked, f"dialogue-{index:02d}")
            singles.append(Single(exchange=exchange, group=groups[asked], form="dialogue"))
    return singles


def _composed(context: Context, count: int, asked: set[str]) -> list[Single]:
    """Up to `count` composed exchanges: one of every topic, then another of every topic, and so on.

    Args:
        asked: User texts (normalised) that the kit has already; no composed exchange repeats one.
    """
    queues = []
    known = set(asked)
    for topic in _topics(context):
        queue = []
        for exchange in exchanges(topic, context):
            # Of two topics with the same question the earlier one keeps it.
            if normalise(exchange.user) not in known:
                queue.append(Single(exchange=exchange, group=f"talk-{topic.name}", form=topic.form))
        known |= _user_texts(queue)
        queues.append(queue)

    # In rounds, so that also a small number covers many topics; a reply that comes twice is said once.
    singles: list[Single] = []
    replies: set[str] = set()
    for single in _alternate(queues):
        reply = normalise(single.exchange.reply)
        if len(singles) < count and reply not in replies:
            replies.add(reply)
            singles.append(single)
    return singles


def _topics(context: Context) -> list[Topic]:
    """All topics by importance: those kept for training, then facts, then the others in random order."""
    others = [*taste_topics(context), *small_talk_topics(context), story_topic(context)]
    context.rng.shuffle(others)

    # Fact topics are made after the shuffle, since both draw from the generator in this order.
    kept = [topic for topic in others if topic.name in KEPT_FOR_TRAINING]
    rest = [topic for topic in others if topic.name not in KEPT_FOR_TRAINING]
    return [*kept, *fact_topics(context), *rest]


def _alternate(queues: list[list[Single]]) -> list[Single]:
    """The first of every queue, then the second of every queue that has one, and so on."""
    longest = max((len(queue) for queue in queues), default=0)
    singles = []
    for turn in range(longest):
        singles += [queue[turn] for queue in queues if turn < len(queue)]
    return singles


def _test_groups(context: Context, singles: list[Single], *, size: int) -> set[str]:
    """Random groups for testing, with at most `size` exchanges in all.

    Facts are never among them: a fact that training never tells cannot be known, only guessed. Neither are
    the topics that every character must have learned.
    """
    sizes = Counter(single.group for single in singles)
    kept = {f"talk-{name}" for name in KEPT_FOR_TRAINING}
    groups = [group for group in sizes if not group.startswith("talk-fact-") and group not in kept]

    # Greedy in random order: a group that is too large is skipped, a smaller one may still fit.
    tested: set[str] = set()
    taken = 0
    for group in context.rng.sample(groups, len(groups)):
        if taken + sizes[group] <= size:
            tested.add(group)
            taken += sizes[group]
    return tested


def _two_turns(context: Context, singles: list[Single], split: Split, *, count: int) -> list[Interaction]:
    """Conversations of two exchanges from two topics of one split; only the second reply carries the loss."""
    items = []
    for last in context.rng.sample(singles, min(count, len(singles))):
        others = [single for single in singles if single.group != last.group]
        # A split with a single topic has no second one to begin with.
        if others:
            items.append(_item(context, [context.rng.choice(others), last], split))
    return items


def _item(context: Context, turns: list[Single], split: Split, *, grounded: bool = False) -> Interaction:
    """A conversation of one or two exchanges; `grounded` shows the last one's picture first."""
    # The form and the group are those of the exchange that carries the loss.
    last = turns[-1]
    segments = [context.card]
    if grounded:
        segments.append(Segment(type="image", value=last.image, role="user"))

    # Only the last reply is learned; what came before is context.
    for turn in turns:
        user, reply = turn.exchange.user, turn.exchange.reply
        segments.append(Segment(type="text", value=user, role="user"))
        segments.append(Segment(type="text", value=reply, role="assistant", loss=turn is last))

    form = last.form
    if grounded:
        form = "grounded"
    elif len(turns) > 1:
        form = "two_turns"
    return Interaction(
        id="", kind="role_play", form=form, split=split, group=last.group, segments=tuple(segments)
    )
