"""A character that does not exist, as the trainers read one: a curated kit, interactions and a base folder.

Pictures are noise and texts are random words; their numbers and lengths are those of a RoleScape-20
character (`unichar.cost.workload.ROLESCAPE`), with a spread, so that prompts of a step differ in length.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gpu.models import write_base
from gpu.scales import Scale
from unichar.types import CuratedKit, Interaction, Persona, Picture, Segment, StageJob

PICTURES = 12
"""Pictures of the kit, all of them for training."""
_SPREAD = 0.25
"""Texts are up to this fraction shorter or longer than the mean."""
_OF_EACH_KIND = 12


def write_job(scale: Scale, folder: Path, *, config: Any, seed: int = 0) -> StageJob:
    """A job of `sft` or `grpo` whose inputs lie in `folder`."""
    kit, interactions = folder / "curated_kit", folder / "interactions"
    for each in (kit / "images", interactions, folder / "scratch", folder / "out"):
        each.mkdir(parents=True, exist_ok=True)

    names = _write_pictures(kit, scale.image_size)
    (kit / "kit.json").write_text(_kit(names).to_json(), encoding="utf-8")

    rng = random.Random(seed)
    items = [*_conversations(scale, names, rng), *_portraits(scale, names, rng)]
    lines = "".join(f"{item.to_json()}\n" for item in items)
    (interactions / "train.jsonl").write_text(lines, encoding="utf-8")
    (interactions / "test.jsonl").write_text("", encoding="utf-8")

    return StageJob(
        character="nobody",
        config=config,
        seed=seed,
        inputs={"curated_kit": kit, "interactions": interactions},
        base=write_base(folder / "base", scale.config, image_size=scale.image_size),
        scratch=folder / "scratch",
        out=folder / "out",
    )


def _write_pictures(folder: Path, size: int) -> list[str]:
    generator = np.random.default_rng(0)
    names = [f"images/{number:02}.png" for number in range(PICTURES)]
    for name in names:
        pixels = generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name, compress_level=0)
    return names


def _kit(names: list[str]) -> CuratedKit:
    persona = Persona(
        traits=("calm",), style="plain", speech_habits=(), catchphrases=(), likes=("tea",), dislikes=("rain",)
    )
    pictures = []
    for number, name in enumerate(names):
        caption = f"Nobody in scene {number}"
        pictures.append(Picture(image=name, split="train", user="Hi?", reply="Hello.", caption=caption))
    return CuratedKit(
        id="nobody",
        name="Nobody",
        category="animal",
        description="A dog that does not exist.",
        opening="Hello.",
        persona=persona,
        facts=(),
        pictures=tuple(pictures),
        dialogues=(),
        domain="photo",
    )


def text_of(rng: random.Random, tokens: float, *, spread: float = _SPREAD) -> str:
    """Random words of about as many bytes, which the tokenizer of `models.py` makes tokens of."""
    length = max(1, round(tokens * rng.uniform(1 - spread, 1 + spread)))
    letters = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(length))
    # Segments are stripped nowhere, but an empty text or one of blanks would be odd.
    return "a" + letters[1:]


def _conversations(scale: Scale, names: list[str], rng: random.Random) -> list[Interaction]:
    """Conversations of every kind, with the mean lengths of its texts, of its targets and of its pictures."""
    items: list[Interaction] = []
    for kind, lengths in scale.texts.conversations.items():
        for number in range(_OF_EACH_KIND):
            segments = [
                Segment(type="text", value=text_of(rng, lengths.tokens - lengths.targets), role="user"),
                Segment(type="text", value=text_of(rng, lengths.targets), role="assistant", loss=True),
            ]
            # A kind shows a picture always or hardly ever.
            if lengths.pictures > 0.5:
                segments.insert(0, Segment(type="image", value=rng.choice(names), role="user"))
            items.append(_item(kind, number, segments))
    return items


def _portraits(scale: Scale, names: list[str], rng: random.Random) -> list[Interaction]:
    """Text-to-image samples, a third of them with plain prompts, the others longer."""
    plain, mean = scale.texts.plain, scale.texts.prompt
    items = []
    for number in range(scale.texts.portraits):
        is_plain = number % 3 == 0
        prompt = text_of(rng, plain if is_plain else (3 * mean - plain) / 2)
        segments = [
            Segment(type="text", value=prompt, role="user"),
            Segment(type="image", value=names[number % len(names)], role="assistant", loss=True),
        ]
        items.append(_item("portrait", number, segments, form="plain" if is_plain else "scene"))
    return items


def _item(kind: Any, number: int, segments: list[Segment], *, form: str = "plain") -> Interaction:
    name = f"{kind}-{number:04}"
    return Interaction(id=name, kind=kind, form=form, split="train", group=name, segments=tuple(segments))
