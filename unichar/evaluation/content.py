"""What a report shows, as `evaluate.py` hands it over. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from PIL import Image

from unichar.evaluation.metrics import METRICS
from unichar.evaluation.statistics import Estimate

# Keys of two blocks of report.json. They are a file contract: readers of reports rely on all of them.
_COST = ("seconds", "tokens", "images", "flops", "peak_rss_mb")
_DATA = ("images", "interactions", "held_out")


@dataclass(frozen=True, kw_only=True)
class PictureSample:
    """One held-out prompt, and the pictures of each arm, all from the same noise."""

    prompt: str
    arms: Mapping[str, Sequence[Image.Image]]
    """Arm -> pictures; an arm without any leaves its column blank. The first arm is `oracle`."""


@dataclass(frozen=True, kw_only=True)
class ChatSample:
    """One held-out user text, and the reply of each arm."""

    user: str
    replies: Mapping[str, str]
    """Arm -> reply."""
    reference: str = ""
    """The reply written for the character."""


class ThinkThenDraw(NamedTuple):
    """One arm's answer to a multimodal turn: a reply, and how it came to a picture."""

    reply: str
    thinking: str
    instruction: str
    # `None` until it is drawn: an arm writes all of its texts first.
    picture: Image.Image | None


@dataclass(frozen=True, kw_only=True)
class RolePlaySample:
    """One user text that asks for a reply and a picture, and the answer of each arm."""

    user: str
    arms: Mapping[str, ThinkThenDraw]


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """Everything a report shows. The section of what is empty (samples, curves, notes) is left out.

    Raises:
        ValueError: `cost` or `data` has other keys than report.json, or an arm has an unknown metric.
    """

    # Whose report it is, and what it was made with.
    character: str
    """Partition key, as `mochi`."""
    name: str
    description: str
    preset: str
    """Its name; empty where the run has none."""
    base_name: str
    base_sha256: str

    # Numbers, as `report.json` holds them.
    arms: Mapping[str, Mapping[str, Estimate]]
    """Arm -> metric -> value, in the order of `metrics.ARMS`."""
    cost: Mapping[str, Any]
    """`{"seconds": {stage: s}, "tokens": n, "images": n, "flops": f, "peak_rss_mb": m}`; or `None`."""
    data: Mapping[str, Any]
    """`{"images": n, "interactions": {kind: n}, "held_out": {...}}`"""

    # What people see; none of it is in `report.json`.
    pictures: Sequence[PictureSample] = ()
    """All with the same arms in the same order; shown on the page and as `contact_sheet.png`."""
    chats: Sequence[ChatSample] = ()
    role_plays: Sequence[RolePlaySample] = ()
    references: Sequence[Image.Image] = ()
    """Reference pictures, shown small."""
    curves: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Stage -> rows of its `curve.jsonl`."""
    notes: Sequence[str] = ()
    """Plain sentences on how to read the numbers."""

    def __post_init__(self) -> None:
        # A key that is missing here would be missed only by whoever reads the report, much later.
        for field_name, given, expected in (("cost", self.cost, _COST), ("data", self.data, _DATA)):
            if set(given) != set(expected):
                raise ValueError(
                    f"ReportInput.{field_name} must have the keys {', '.join(expected)}, "
                    f"not {', '.join(given)}"
                )

        # The page shows a row for each known metric, so an unknown one would vanish without a word.
        known = {metric.name for metric in METRICS}
        for arm, metrics in self.arms.items():
            unknown = sorted(set(metrics) - known)
            if unknown:
                raise ValueError(
                    f"arm {arm} has {', '.join(unknown)}: "
                    "add a row to METRICS in unichar/evaluation/metrics.py"
                )
