"""Stage 3, `synthesize`: a curated kit becomes the interactions to learn from and tests that do not leak.

Run it with `unichar synthesize --character mochi --preset cpu`. It writes `train.jsonl`, `test.jsonl` (one
`types.Interaction` a line) and `preview.md`. Everything is drawn from `job.seed`: the same seed gives the
same bytes.

Departs from the paper, which asks a large language model for its dialogues, knowledge and questions: here
they are composed from the kit by rule, so that a new character costs seconds, needs no network, and can be
checked for leaks by construction.
"""

import dataclasses
import random
from collections import Counter

from unichar.errors import UserError
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.context import Context
from unichar.interactions.instructions import instructions
from unichar.interactions.knowledge_qa import knowledge_qa
from unichar.interactions.leaks import leaks, user_inputs
from unichar.interactions.preview import preview
from unichar.interactions.reasoning import reasoning
from unichar.interactions.role_play import role_play
from unichar.interactions.style_profile import extract_style
from unichar.interactions.text_to_image import text_to_image
from unichar.interactions.visual_qa import visual_qa
from unichar.types import CuratedKit, Interaction, StageJob


class LeakyInteractions(UserError):
    """Training would have seen what the test asks."""

    exit_code = 1


def run(job: StageJob) -> dict[str, int]:
    """Write the interactions of one character.

    Args:
        job: Its `inputs["curated_kit"]` is read, its `config` is an `InteractionsConfig`.

    Returns:
        Counts: `train`, `test`, `<split>_<kind>` for every kind, `role_play_exchanges` (single exchanges of
        both splits) and `left_out` (training items dropped because a test asks the same).

    Raises:
        LeakyInteractions: The kit itself holds a picture or topic in both splits.
    """
    # Both splits are composed together, since training leaves out what the test asks.
    kit = CuratedKit.read(job.inputs["curated_kit"])
    items, num_left_out = compose(kit, job.config, job.seed)

    for split in ("train", "test"):
        lines = [item.to_json() + "\n" for item in items if item.split == split]
        (job.out / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")

    # For people, who should read a few items before anything is trained on them.
    (job.out / "preview.md").write_text(preview(f"Interactions of {kit.name}", items), encoding="utf-8")
    return _counts(items) | {"left_out": num_left_out}


def compose(kit: CuratedKit, config: InteractionsConfig, seed: int) -> tuple[list[Interaction], int]:
    """The interactions of a character, from its kit.

    Returns:
        (the items of both splits with their ids, the number of training items left out because a test asks
        the same).

    Raises:
        LeakyInteractions: A leak remains; the message names the first offenders.
    """
    style = extract_style(kit)

    def context(name: str) -> Context:
        """A generator of its own for each kind: a change in one does not move the draws of the others."""
        return Context(kit=kit, config=config, style=style, rng=random.Random(f"{seed}/{name}"))

    # The names seed the generators and are older than those of the modules: they must not change.
    items = [
        *role_play(context("role_play")),
        *reasoning(context("thinking")),
        *instructions(context("requests")),
        *text_to_image(context("portraits")),
        *visual_qa(context("visual_qa")),
        *knowledge_qa(context("knowledge_qa")),
    ]

    # Numbered last, so that ids have no gaps where items were left out.
    kept = _numbered(_without_test_inputs(items))

    # The proof: nothing above is trusted to have kept the splits apart.
    train = [item for item in kept if item.split == "train"]
    test = [item for item in kept if item.split == "test"]
    offences = leaks(train, test)
    if offences:
        raise LeakyInteractions(
            f"kit {kit.id}: {len(offences)} leaks from training into the test: {'; '.join(offences[:5])}; "
            "give every picture its own file and keep each in one split"
        )
    return kept, len(items) - len(kept)


def _without_test_inputs(items: list[Interaction]) -> list[Interaction]:
    """All items but those of training in which the user says what the user of a test item says."""
    # The test keeps its items and training gives way: a test is small and cannot spare any.
    asked: set[str] = set()
    for item in items:
        if item.split == "test":
            asked |= user_inputs(item)
    return [item for item in items if item.split == "test" or not user_inputs(item) & asked]


def _numbered(items: list[Interaction]) -> list[Interaction]:
    """The items with ids as `role-play-0000`, counted by kind."""
    numbers: Counter[str] = Counter()
    numbered = []
    for item in items:
        name = item.kind.replace("_", "-")
        numbered.append(dataclasses.replace(item, id=f"{name}-{numbers[item.kind]:04d}"))
        numbers[item.kind] += 1
    return numbered


def _counts(items: list[Interaction]) -> dict[str, int]:
    """The numbers of items, as `run` returns them."""
    counts: Counter[str] = Counter()
    num_exchanges = 0
    for item in items:
        counts[item.split] += 1
        counts[f"{item.split}_{item.kind}"] += 1
        # Forms that repeat or join single exchanges are not counted again.
        num_exchanges += item.kind == "role_play" and item.form not in ("grounded", "two_turns", "request")

    return dict(sorted(counts.items())) | {"role_play_exchanges": num_exchanges}
