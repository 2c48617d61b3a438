"""Stage 3, `synthesize`: a curated kit becomes the interactions to learn from and the tests that do not leak.

Run it with `python -m unichar synthesize --character mochi --preset cpu`. It writes `train.jsonl`, `test.jsonl` (one
`records.Interaction` a line) and `preview.md`. Everything is drawn from `job.seed`: the same seed gives the same bytes.

Departs from the paper, which asks a large language model for its dialogues, knowledge and questions: here they are composed
from the kit by rule, so that a new character costs seconds, needs no network, and can be checked for leaks by construction.
"""

import dataclasses
import random
from collections import Counter

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.instructions import requests
from unichar.interactions.knowledge_qa import knowledge_qa
from unichar.interactions.leaks import leaks, user_inputs
from unichar.interactions.preview import preview
from unichar.interactions.reasoning import thinking
from unichar.interactions.role_play import role_play
from unichar.interactions.text_to_image import portraits
from unichar.interactions.visual_qa import visual_qa
from unichar.types import CuratedKit, Interaction, StageJob


class LeakyInteractions(ValueError):
    """Training would have seen what the test asks."""


def run(job: StageJob) -> dict[str, int]:
    """Write the interactions of one character.

    Args:
        job: Its `inputs["curated_kit"]` is read, its `config` is an `InteractionsConfig`.

    Returns:
        Counts: `train`, `test`, `<split>_<kind>` for every kind, `role_play_exchanges` (single exchanges of both splits)
        and `left_out` (training items dropped because a test asks the same).

    Raises:
        LeakyInteractions: The kit itself holds a picture or topic in both splits.
    """
    kit = CuratedKit.read(job.inputs["curated_kit"])
    items, left_out = compose(kit, job.config, job.seed)
    for split in ("train", "test"):
        lines = [item.to_json() + "\n" for item in items if item.split == split]
        (job.out / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    (job.out / "preview.md").write_text(preview(f"Interactions of {kit.name}", items), encoding="utf-8")
    return _counts(items) | {"left_out": left_out}


def compose(kit: CuratedKit, config: InteractionsConfig, seed: int) -> tuple[list[Interaction], int]:
    """(the items of both splits with their ids, the number of training items left out because a test asks the same).

    Raises:
        LeakyInteractions: A leak remains; the message names the first offenders.
    """
    items = [
        *role_play(kit, config, _rng(seed, "role_play")),
        *thinking(kit),
        *requests(kit, config, _rng(seed, "requests")),
        *portraits(kit, config, _rng(seed, "portraits")),
        *visual_qa(kit, config, _rng(seed, "visual_qa")),
        *knowledge_qa(kit, config, _rng(seed, "knowledge_qa")),
    ]
    asked = {text for item in items if item.split == "test" for text in user_inputs(item)}
    kept = _numbered([item for item in items if item.split == "test" or not user_inputs(item) & asked])
    offences = leaks([i for i in kept if i.split == "train"], [i for i in kept if i.split == "test"])
    if offences:
        raise LeakyInteractions(
            f"kit {kit.id}: {len(offences)} leaks from training into the test: {'; '.join(offences[:5])}; "
            "give every picture its own file and keep each in one split"
        )
    return kept, len(items) - len(kept)


def _rng(seed: int, name: str) -> random.Random:
    """A generator of its own for every kind, so that a change in one does not move the others."""
    return random.Random(f"{seed}/{name}")


def _numbered(items: list[Interaction]) -> list[Interaction]:
    numbers: Counter[str] = Counter()
    numbered = []
    for item in items:
        numbered.append(
            dataclasses.replace(item, id=f"{item.kind.replace('_', '-')}-{numbers[item.kind]:04d}")
        )
        numbers[item.kind] += 1
    return numbered


def _counts(items: list[Interaction]) -> dict[str, int]:
    counts = Counter(f"{item.split}_{item.kind}" for item in items) + Counter(
        str(item.split) for item in items
    )
    singles = [
        i for i in items if i.kind == "role_play" and i.form not in ("grounded", "two_turns", "request")
    ]
    return dict(sorted(counts.items())) | {"role_play_exchanges": len(singles)}
