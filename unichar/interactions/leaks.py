"""Proof that a test set tests: nothing that is asked there, shown there or talked about there occurs in training.

The invariant, over all kinds together: no user input is in both splits (compared without case, punctuation, spacing and
quote shape; a question about a picture counts together with its picture), no group is in both splits, no picture is in both
splits. Facts are trained on purpose; what knowledge tests hold out is the wording, so their group ends in `/paraphrase`.
"""

from collections.abc import Iterable

from unichar.interactions.prompts import PLAN_REQUEST
from unichar.interactions.wording import normalise
from unichar.types import Interaction


def user_inputs(item: Interaction) -> set[str]:
    """What the user says in an item, normalised; the fixed request for a plan does not count."""
    shown = (
        "".join(s.value + "|" for s in item.segments if s.type == "image") if item.kind == "visual_qa" else ""
    )
    texts = [
        s.value for s in item.segments if s.type == "text" and s.role == "user" and s.value != PLAN_REQUEST
    ]
    return {shown + normalise(text) for text in texts}


def leaks(train: Iterable[Interaction], test: Iterable[Interaction]) -> list[str]:
    """Every offence against the invariant, as a sentence; empty when the split is clean."""
    train, test = list(train), list(test)
    found = []
    known = _owners(train)
    for item in test:
        for what, key in _keys(item):
            if (what, key) in known:
                found.append(
                    f"test item {item.id} shares the {what} {key!r} with training item {known[what, key]}"
                )
    return sorted(set(found))


def _owners(items: list[Interaction]) -> dict[tuple[str, str], str]:
    return {key: item.id for item in items for key in _keys(item)}


def _keys(item: Interaction) -> list[tuple[str, str]]:
    images = [("picture", s.value) for s in item.segments if s.type == "image"]
    return [("group", item.group), *images, *(("user input", text) for text in sorted(user_inputs(item)))]
