"""The prompts that GRPO trains on and validates with; training, validation and test have no scene in common.

Which scenes there are depends on the kind of pictures and is defined by `unichar.domains`; the random streams
are chosen here.
"""

from collections.abc import Sequence

from unichar.domains.lookup import domain_of
from unichar.judges.prompts import plain_prompts
from unichar.training.seeds import python_rng
from unichar.types import CuratedKit, Interaction, Prompt


def validation_prompts(
    kit: CuratedKit, train: Sequence[Interaction], test: Sequence[Interaction], *, count: int, seed: int
) -> list[Prompt]:
    """Up to `count` prompts to select checkpoints by; no report uses them, so selection does not bias it."""
    # A stream of its own: these prompts do not depend on how many are trained on.
    rng = python_rng(seed, "watch")
    return domain_of(kit).validation_prompts(kit, plain_prompts(train), test, count=count, rng=rng)


def training_prompts(
    kit: CuratedKit,
    train: Sequence[Interaction],
    test: Sequence[Interaction],
    *,
    validation: Sequence[Prompt],
    count: int,
    seed: int,
) -> list[Prompt]:
    """`count` prompts to train on; none asks for what a test item or a `validation` prompt asks for."""
    # Prompts of all rounds are drawn at once, so those of a round are a function of seed and round.
    rng = python_rng(seed, "practice")

    # Plain prompts of the training pictures: photographs train on some of them, toons on new scenes only.
    known = plain_prompts(train)
    return domain_of(kit).training_prompts(kit, known, test, validation=validation, count=count, rng=rng)
