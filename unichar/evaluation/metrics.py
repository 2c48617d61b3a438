"""The metrics of a report: what each means, its range, and which way is better. No torch.

Adding a metric: one row here, one judge that measures it, one line in `evaluate.py`.
"""

from dataclasses import dataclass
from typing import Literal

from unichar.evaluation.statistics import Estimate

Verdict = Literal["better", "worse", "unclear"]

ARMS = {
    "base": "Base",
    "prompted": "Prompted",
    "text_only": "Text only",
    "image_only": "Pictures only",
    "sft": "SFT",
    "grpo": "GRPO",
    "truth": "Truth",
}
"""Arm -> how it is shown."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One thing that is measured of every arm."""

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
        ends = f"{self.low:g}–{self.high:g}" if self.high is not None else ""
        return ", ".join(
            filter(None, (f"{ends} {self.unit}".strip(), self.better and f"{self.better} is better"))
        )


METRICS = (
    Metric(
        name="identity",
        label="Identity",
        meaning="How much generated pictures look like the references, to an evaluator that training never used.",
    ),
    Metric(
        name="alignment",
        label="Alignment",
        meaning="How much of what the prompt names is in the picture; prompts that no judge can tell that of do not count.",
    ),
    Metric(
        name="diversity",
        label="Diversity",
        meaning="How different the pictures of one prompt are from each other: mean perceptual distance of pairs, by "
        "the prompts that leave something open.",
    ),
    Metric(
        name="copying",
        label="Copying",
        meaning="Share of pictures nearer to a training picture than any two of those are to each other; toons are compared "
        "with training pictures of other scenes.",
        better="lower",
    ),
    Metric(
        name="held_out_nll",
        label="Held-out NLL",
        meaning="How surprised the model is by the character's real replies to things it was never asked in training.",
        high=None,
        unit="nats/token",
        better="lower",
    ),
    Metric(
        name="style",
        label="Style",
        meaning="How clearly a reply is in this character's voice rather than another's.",
    ),
    Metric(
        name="knowledge_accuracy",
        label="Knowledge",
        meaning="Right answers to four-option questions about the character, scored by likelihood; guessing gives 0.25.",
    ),
    Metric(
        name="vqa_accuracy",
        label="Visual questions",
        meaning="Right answers to questions about pictures that training never showed.",
    ),
    Metric(
        name="role_play_identity",
        label="Role-play identity",
        meaning="Identity of pictures that the model thought up itself after its own reply.",
    ),
    Metric(
        name="role_play_alignment",
        label="Role-play alignment",
        meaning="How much of what the moment asks for is in the picture that follows the model's own reply.",
    ),
    Metric(
        name="memorization",
        label="Memorization",
        meaning="A judge model's mark for how well replies keep to what is true of the character.",
        low=1.0,
        high=7.0,
    ),
    Metric(
        name="personality",
        label="Personality",
        meaning="A judge model's mark for how well replies show the character's personality.",
        low=1.0,
        high=7.0,
    ),
)
_BY_NAME = {metric.name: metric for metric in METRICS}
HEADLINES = tuple(_BY_NAME[name] for name in ("identity", "held_out_nll", "alignment"))
HEADLINE_ARMS = ("base", "sft", "grpo")


def measured(names: set[str]) -> list[Metric]:
    """The metrics among `names`, in the order of the table."""
    return [metric for metric in METRICS if metric.name in names]


def compare(metric: Metric, before: Estimate, after: Estimate) -> Verdict:
    """Whether `after` beats `before`. `unclear` when their intervals overlap, which is careful: a paired test sees more."""
    if not metric.better or (before.low <= after.high and after.low <= before.high):
        return "unclear"
    return "better" if (after.value > before.value) == (metric.better == "higher") else "worse"


def arm_label(arm: str) -> str:
    """How an arm is shown; one the table does not know by its own name."""
    return ARMS.get(arm, arm)
