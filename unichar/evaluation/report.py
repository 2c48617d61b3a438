"""The report of a character: `report.json` for machines, `report.html` for people, `contact_sheet.png`. No torch.

`evaluate.py` measures, fills a `ReportInput` and calls `write_report`. The page is one file that loads nothing, runs no
script, and escapes every word of kits and models; its policy forbids the browser what it does not need.
Not in the paper, whose code has no evaluation.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unichar.evaluation.content import ReportInput
from unichar.evaluation.metrics import HEADLINE_ARMS, HEADLINES, arm_label
from unichar.evaluation.page import report_html
from unichar.store.files import json_bytes, write_atomic


def report_json(report: ReportInput) -> dict[str, Any]:
    """The content of `report.json`: numbers only, no words of kits or models but the character's id."""
    return {
        "character": report.character,
        "preset": report.preset,
        "base": {"name": report.base_name, "sha256": report.base_sha256},
        "arms": {
            arm: {name: value.to_json() for name, value in metrics.items()}
            for arm, metrics in report.arms.items()
        },
        "cost": report.cost,
        "data": report.data,
    }


def write_report(report: ReportInput, out: Path) -> None:
    """Write `report.json`, `report.html` and, if there is a sheet, `contact_sheet.png` into `out`, each whole or not at all.

    Raises:
        ValueError: A number is not finite.
    """
    numbers = json_bytes(report_json(report))
    write_atomic(out / "report.html", report_html(report).encode())
    if report.sheet is not None:
        png = io.BytesIO()
        report.sheet.save(png, "png", optimize=True)
        write_atomic(out / "contact_sheet.png", png.getvalue())
    write_atomic(out / "report.json", numbers)


def headline(report: Mapping[str, Any]) -> list[str]:
    """Three lines for a terminal, from a `report.json`; arms that were not run are left out.

    Example: `identity       0.31 -> 0.87 -> 0.89   (base -> SFT -> GRPO, higher is better)`
    """
    lines = []
    for metric in HEADLINES:
        arms = [arm for arm in HEADLINE_ARMS if metric.name in report["arms"].get(arm, {})]
        if not arms:
            lines.append(f"{metric.name:<14} not measured")
            continue
        numbers = " -> ".join(f"{report['arms'][arm][metric.name]['value']:.2f}" for arm in arms)
        names = " -> ".join(arm_label(arm) if arm != "base" else arm for arm in arms)
        lines.append(f"{metric.name:<14} {numbers}   ({names}, {metric.better} is better)")
    return lines
