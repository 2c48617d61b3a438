"""What a report shows, as `evaluate.py` hands it over. No torch."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from PIL import Image

from unichar.evaluation.metrics import METRICS
from unichar.evaluation.statistics import Estimate

_COST = ("seconds", "tokens", "images", "flops", "peak_rss_mb")
_DATA = ("images", "interactions", "held_out")


@dataclass(frozen=True, kw_only=True)
class ChatSample:
    """One thing said to the character, and what each arm replied."""

    user: str
    replies: dict[str, str]
    """Arm -> reply."""
    reference: str = ""
    """The character's real reply."""


class ThinkThenDraw(NamedTuple):
    """What one arm made of a moment: a reply, a thought, an instruction for the picture, the picture."""

    reply: str
    thinking: str
    instruction: str
    picture: Image.Image | None


@dataclass(frozen=True, kw_only=True)
class RolePlaySample:
    """One moment, and the chain of each arm."""

    user: str
    arms: dict[str, ThinkThenDraw]


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """Everything a report shows. Arms, pictures, samples, curves and notes may be missing; their parts are left out then."""

    character: str
    """Partition key, as `mochi`."""
    name: str
    description: str
    preset: str
    """Its name; empty where the run does not know it, then the page does not speak of it."""
    base_name: str
    base_sha256: str
    arms: dict[str, dict[str, Estimate]]
    """Arm -> metric -> value: base, sft, grpo, then any others of `metrics.ARMS`."""
    cost: dict[str, Any]
    """`{"seconds": {stage: s}, "tokens": n, "images": n, "flops": f, "peak_rss_mb": m}`; `None` for what was not measured."""
    data: dict[str, Any]
    """`{"images": n, "interactions": {kind: n}, "held_out": {...}}`"""
    chats: list[ChatSample] = field(default_factory=list)
    role_plays: list[RolePlaySample] = field(default_factory=list)
    sheet: Image.Image | None = None
    """From `sheets.contact_sheet`."""
    references: list[Image.Image] = field(default_factory=list)
    """Reference pictures, shown small."""
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Stage -> rows of its `curve.jsonl`."""
    notes: list[str] = field(default_factory=list)
    """Plain sentences on what to make of the numbers."""
    fingerprint: str = ""
    """Of this evaluation's inputs."""

    def __post_init__(self) -> None:
        for what, given, wanted in (("cost", self.cost, _COST), ("data", self.data, _DATA)):
            if set(given) != set(wanted):
                raise ValueError(
                    f"ReportInput.{what} must have the keys {', '.join(wanted)}, not {', '.join(given)}"
                )
        known = {metric.name for metric in METRICS}
        for arm, metrics in self.arms.items():
            if set(metrics) - known:
                names = ", ".join(sorted(set(metrics) - known))
                raise ValueError(
                    f"arm {arm} has {names}: add a row to METRICS in unichar/evaluation/metrics.py"
                )
