"""Proof that a test set tests: nothing that is asked, shown or talked about in it occurs in training.

The invariant, over all kinds together: no user input is in both splits (compared without case, punctuation,
spacing and quote shape; a question about a picture counts together with its picture), no group is in both
splits, no picture is in both splits. Facts are trained on purpose; what knowledge tests hold out is the
wording, so their group ends in `/paraphrase`.
"""

from collections.abc import Iterable

from unichar.interactions.prompts import REASONING_REQUEST
from unichar.interactions.wording import normalise
from unichar.types import Interaction


def leaks(train: Iterable[Interaction], test: Iterable[Interaction]) -> list[str]:
    """Every violation of the invariant, as a sentence; empty when the split is clean."""
    # Of several training items with the same key the last one is named; any of them is evidence enough.
    owners = {key: item.id for item in train for key in _keys(item)}

    found = set()
    for item in test:
        for what, value in _keys(item):
            if (what, value) in owners:
                owner = owners[what, value]
                found.add(f"test item {item.id} has the {what} {value!r} of training item {owner}")
    return sorted(found)


def user_inputs(item: Interaction) -> set[str]:
    """What the user says in an item, normalised; the fixed request for a reasoning text does not count."""
    # "Who is this?" is asked of every picture, so a visual question is one only together with its picture.
    shown = ""
    if item.kind == "visual_qa":
        shown = "".join(f"{segment.value}|" for segment in item.segments if segment.type == "image")

    # The request for a reasoning text is the same in every sample that has one.
    inputs = set()
    for segment in item.segments:
        is_text = segment.type == "text" and segment.role == "user"
        if is_text and segment.value != REASONING_REQUEST:
            inputs.add(shown + normalise(segment.value))
    return inputs


def _keys(item: Interaction) -> list[tuple[str, str]]:
    """What must not be in both splits, as (what it is, its value)."""
    images = [("picture", segment.value) for segment in item.segments if segment.type == "image"]
    inputs = [("user input", text) for text in sorted(user_inputs(item))]
    return [("group", item.group), *images, *inputs]
