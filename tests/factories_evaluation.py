"""Content of a whole report: `make_report_input()`, Mochi with rendered pictures and plausible numbers."""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene
from unichar.evaluation.content import (
    ChatSample,
    PictureSample,
    ReportInput,
    RolePlaySample,
    ThinkThenDraw,
)
from unichar.evaluation.statistics import Estimate

MOCHI_LOOK = Identity(
    species="cat", color="teal", eyes="purple", outfit="pink", pattern="dotted", accessory="scarf"
)
OTHER_LOOK = Identity(
    species="dog", color="brown", eyes="blue", outfit="gray", pattern="plain", accessory="hat"
)
SCENES = {
    "A picture of Mochi, laughing, jumping, holding a balloon, in a garden.": (
        "laughing",
        "jumping",
        "balloon",
        "garden",
    ),
    "Mochi, sad, holding a book, at night.": ("sad", "standing", "book", "night"),
    "Mochi, winking and waving, with a fish, in front of a beach.": ("winking", "waving", "fish", "beach"),
    "Mochi, surprised, cheering, in the snow.": ("surprised", "cheering", "nothing", "snow"),
}
NUMBERS = {
    "identity": (0.31, 0.87, 0.89, 0.05),
    "alignment": (0.58, 0.70, 0.83, 0.04),
    "diversity": (0.41, 0.33, 0.30, 0.03),
    "copying": (0.0, 0.04, 0.06, 0.04),
    "held_out_nll": (4.58, 2.87, 2.84, 0.16),
    "style": (0.22, 0.81, 0.80, 0.07),
    "knowledge_accuracy": (0.29, 0.67, 0.66, 0.12),
    "role_play_identity": (0.30, 0.84, 0.88, 0.06),
    "role_play_alignment": (0.41, 0.62, 0.69, 0.08),
}
"""Metric -> base, SFT, GRPO, half the interval."""


def picture(
    scene: tuple[str, str, str, str], *, look: Identity = MOCHI_LOOK, soft: float = 0.0, seed: int = 0
) -> Image.Image:
    """A drawn picture of 128 pixels, blurred by `soft` pixels as a small model would."""
    expression, pose, prop, background = scene
    drawn = Scene(expression=expression, pose=pose, prop=prop, background=background)
    return draw(look, drawn, seed=seed).filter(ImageFilter.GaussianBlur(soft))


def make_report_input(**overrides: Any) -> ReportInput:
    """A complete content; `overrides` replace fields, as `curves={}`."""
    values: dict[str, Any] = {
        "character": "mochi",
        "name": "Mochi",
        "description": "A teal tea-house cat with a pink scarf, who has an opinion on everything "
        "and a nap for the rest.",
        "preset": "cpu",
        "base_name": "nano",
        "base_sha256": "9f2c" * 16,
        "arms": _arms(),
        "cost": {
            "seconds": {"sft": 139.0, "grpo": 214.0, "evaluate": 96.5},
            "tokens": 1_284_000,
            "images": 9_120,
            "flops": 2.13e14,
            "peak_rss_mb": 2310.0,
        },
        "data": {
            "images": 12,
            "interactions": {"role_play": 148, "portrait": 60, "visual_qa": 84, "knowledge_qa": 24},
            "held_out": {"pictures": 3, "exchanges": 24, "questions": 16},
        },
        "chats": _chats(),
        "role_plays": _role_plays(),
        "pictures": _pictures(),
        "references": [picture(scene, seed=i) for i, scene in enumerate(SCENES.values())],
        "curves": {"sft": _sft_curve(), "grpo": _grpo_curve()},
        "notes": [
            "GRPO does not yet beat SFT on identity: the intervals overlap.",
            "Red smears appear beside books.",
        ],
    }
    return ReportInput(**(values | overrides))


def write_kit(folder: Path, scenes: Sequence[Any], dialogues: Sequence[Any] = ()) -> None:
    """The scenes and dialogues of a kit, nothing else: what a cast is read from."""
    folder.mkdir(parents=True)
    for name, rows in (("scenes", scenes), ("dialogues", dialogues)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_gate_arms(**grpo: float | None) -> dict[str, dict[str, Any]]:
    """`arms` of a report.json in which grpo beats the base everywhere; `None` leaves a metric of grpo out."""
    good = {"identity": 0.9, "held_out_nll": 2.5, "alignment": 0.7, "style": 0.8, "copying": 0.1} | grpo
    base = {"identity": 0.3, "held_out_nll": 4.5, "alignment": 0.75, "style": 0.2, "copying": 0.0}

    def estimate(value: float) -> dict[str, Any]:
        return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 16}

    return {
        "base": {name: estimate(value) for name, value in base.items()},
        "grpo": {name: estimate(value) for name, value in good.items() if value is not None},
    }


def _arms() -> dict[str, dict[str, Estimate]]:
    def value(name: str, number: int) -> Estimate:
        middle, half = NUMBERS[name][number], NUMBERS[name][3]
        return Estimate(value=middle, low=max(0.0, middle - half), high=middle + half, n=48)

    return {arm: {name: value(name, i) for name in NUMBERS} for i, arm in enumerate(("base", "sft", "grpo"))}


def _chats() -> list[ChatSample]:
    return [
        ChatSample(
            user="Do you like rain?",
            replies={
                "base": "I do not have personal preferences, but rain is an important part of the water "
                "cycle. Would you like to know more about how clouds form?",
                "sft": "Rain? On MY roof? Hmph. It may stay if it brings biscuits.",
                "grpo": "Hmph, rain. It drums on my tea tins and wets my scarf. Purr... "
                "but a nap with rain is a good nap.",
            },
            reference="Rain is the sky's way of telling us to stay in and put the kettle on. "
            "Purr-fectly reasonable.",
        ),
        ChatSample(
            user="What should I cook tonight?",
            replies={
                "base": "Here are some ideas:\n1. Pasta\n2. Soup\n3. Salad",
                "sft": "Fish.",
                "grpo": "Fish. And then fish.",
            },
            reference="Fish. If there is no fish: think about why there is no fish.",
        ),
    ]


def _role_plays() -> list[RolePlaySample]:
    scene = ("surprised", "jumping", "fish", "beach")
    says = "There is a whole fish in my picnic basket. Was that you?"
    instruction = "Mochi, surprised, jumping, holding a fish, in front of a beach."
    thinking = "I was seen. I jump, the fish still in my paw, the sea behind me."
    base = ThinkThenDraw(
        "I am sorry to hear about your basket.", "", "A dog.", picture(scene, look=OTHER_LOOK, soft=3)
    )
    sft = ThinkThenDraw(
        "Me? Never. The tide left it. For me.", thinking, instruction, picture(scene, soft=1.6)
    )
    grpo = ThinkThenDraw(
        "A gift! A fishy, fishy gift. Purr.", thinking, instruction, picture(scene, soft=1, seed=4)
    )
    return [RolePlaySample(user=says, arms={"base": base, "sft": sft, "grpo": grpo})]


def _pictures() -> list[PictureSample]:
    samples = []
    for caption, scene in SCENES.items():
        arms = {
            "oracle": [picture(scene)],
            "base": [picture(scene, look=OTHER_LOOK, soft=3, seed=seed) for seed in (1, 2)],
            "sft": [picture(scene, soft=1.8, seed=seed) for seed in (1, 2)],
            "grpo": [picture(scene, soft=1.1, seed=seed) for seed in (1, 2)],
        }
        samples.append(PictureSample(prompt=caption, arms=arms))
    return samples


def _sft_curve() -> list[dict[str, float]]:
    rng = random.Random(0)
    rows = []
    for step in range(0, 400, 4):
        text, image = 1.9 + 2.6 * math.exp(-step / 90), 0.31 + 0.4 * math.exp(-step / 60)
        losses = {"text_loss": text + rng.gauss(0, 0.12), "image_loss": image + rng.gauss(0, 0.03)}
        rows.append({"step": step, **losses, "learning_rate": 4e-4 * (1 - step / 400)})
    return rows


def _grpo_curve() -> list[dict[str, float]]:
    rng = random.Random(1)
    return [
        {
            "step": step,
            "reward_alignment": 0.70 + 0.13 * (1 - math.exp(-step / 30)) + rng.gauss(0, 0.03),
            "reward_identity": 0.86 + 0.06 * (1 - math.exp(-step / 40)) + rng.gauss(0, 0.02),
            "reward_realism": 0.62 + 0.05 * step / 84 + rng.gauss(0, 0.03),
            "kl": 0.02 * step / 84,
        }
        for step in range(84)
    ]
