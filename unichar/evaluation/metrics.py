"""The metrics of a report: what each means, its range, and which way is better. No torch.

To add a metric: a row here, and its measurement in `pictures.py` or `texts.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from unichar.evaluation.statistics import Estimate

Verdict = Literal["better", "worse", "unclear"]

ARMS = {
    "base": "Base",
    # One-sided arms: the adapters of one component alone.
    "text_only": "Text only",
    "image_only": "Pictures only",
    "sft": "SFT",
    "grpo": "GRPO",
    # Only where the domain renders pictures.
    "oracle": "Oracle",
}
"""Arm -> how it is shown.

The oracle is no model: its numbers are those of faultless pictures, scored by the same networks.
"""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measured quantity."""

    name: str
    """Its key in `report.json`."""
    label: str
    meaning: str
    """One sentence for people."""
    low: float = 0.0
    high: float | None = 1.0
    """Ends of its range; `None` where it has no upper end."""
    unit: str = ""
    better: Literal["higher", "lower", ""] = "higher"
    """Empty where neither is better by itself."""

    @property
    def range(self) -> str:
        """As `0–1, higher is better` or `nats/token, lower is better`."""
        # A range without an upper end is given by its unit alone.
        ends = f"{self.low:g}–{self.high:g}" if self.high is not None else ""
        scale = f"{ends} {self.unit}".strip()
        # Some quantities are neither good nor bad by themselves.
        direction = f"{self.better} is better" if self.better else ""
        return ", ".join(part for part in (scale, direction) if part)


# Rows of the page's table, in this order: pictures, texts, role play, judge model.
METRICS = (
    Metric(
        name="identity",
        label="Identity",
        meaning="How much pictures resemble the references, to a network that training never used.",
    ),
    Metric(
        name="alignment",
        label="Alignment",
        meaning="How much of what the prompt names is in the picture, over prompts that can be judged.",
    ),
    Metric(
        name="diversity",
        label="Diversity",
        meaning="How different the pictures of one prompt are: mean perceptual distance of pairs, over the "
        "prompts that leave something open.",
    ),
    Metric(
        name="copying",
        label="Copying",
        meaning="Share of pictures nearer to a training picture than any two of those are to each other; "
        "toons are compared with training pictures of other scenes.",
        better="lower",
    ),
    Metric(
        name="held_out_nll",
        label="Held-out NLL",
        meaning="How unlikely the model finds the character's real replies to user texts it never saw.",
        high=None,
        unit="nats/token",
        better="lower",
    ),
    Metric(
        name="style",
        label="Style",
        meaning="How clearly a reply is in this character's style rather than another character's.",
    ),
    Metric(
        name="knowledge_accuracy",
        label="Knowledge",
        meaning="Right answers to four-option questions about the character; guessing gives 0.25.",
    ),
    Metric(
        name="vqa_accuracy",
        label="Visual questions",
        meaning="Right answers to questions about pictures that training never showed.",
    ),
    Metric(
        name="role_play_identity",
        label="Role-play identity",
        meaning="Identity of the pictures that the model instructed itself to draw after its own reply.",
    ),
    Metric(
        name="role_play_alignment",
        label="Role-play alignment",
        meaning="How much of what the user asks for is in the picture that follows the model's own reply.",
    ),
    Metric(
        name="memorization",
        label="Memorization",
        meaning="A judge model's score for how well replies keep to what is true of the character.",
        low=1.0,
        high=7.0,
    ),
    Metric(
        name="personality",
        label="Personality",
        meaning="A judge model's score for how well replies show the character's personality.",
        low=1.0,
        high=7.0,
    ),
)
_BY_NAME = {metric.name: metric for metric in METRICS}
# Does it resemble the character, talk like it, and still do what it is asked to?
HEADLINES = tuple(_BY_NAME[name] for name in ("identity", "held_out_nll", "alignment"))
"""The metrics of the first cards and of the terminal."""
HEADLINE_ARMS = ("base", "sft", "grpo")
"""The arms of the first cards, samples and tables, in the order of training."""


def measured(names: set[str]) -> list[Metric]:
    """The metrics among `names`, in the order of the table."""
    return [metric for metric in METRICS if metric.name in names]


def compare(metric: Metric, before: Estimate, after: Estimate) -> Verdict:
    """Whether `after` beats `before`; `unclear` when their intervals overlap.

    Overlap is a cautious criterion: a paired test would find more differences.
    """
    # Two intervals overlap if each begins before the other ends. Without a direction nothing is better.
    if not metric.better or (before.low <= after.high and after.low <= before.high):
        return "unclear"

    # The intervals lie apart; the direction of the metric decides which side is the better one.
    return "better" if (after.value > before.value) == (metric.better == "higher") else "worse"


def remarks(arms: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    """Sentences on what GRPO changed, as far as the intervals allow to say.

    Args:
        arms: Arm -> metric -> value; with `sft` and `grpo`.
    """
    notes = []
    # GRPO is rewarded for these three, so these are what it can be expected to change.
    for name in ("identity", "alignment", "diversity"):
        sft, grpo = arms["sft"][name], arms["grpo"][name]

        # SFT's value inside GRPO's interval: the difference may be the choice of prompts alone.
        if grpo.low <= sft.value <= grpo.high:
            notes.append(
                f"GRPO's {name} ({grpo.value:.2f}) cannot be told from SFT's ({sft.value:.2f}) "
                "on these held-out prompts."
            )
        else:
            verb = "raised" if grpo.value > sft.value else "lowered"
            notes.append(f"GRPO {verb} {name} from {sft.value:.2f} to {grpo.value:.2f} on held-out prompts.")
    return notes


def arm_label(arm: str) -> str:
    """How an arm is shown; by its key where `ARMS` does not have it."""
    # Reports made by later versions may have arms that this one does not know.
    return ARMS.get(arm, arm)
