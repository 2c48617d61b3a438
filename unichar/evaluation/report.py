"""Writing a report: `report.json` for machines, `report.html` for people, `contact_sheet.png`. No torch.

`evaluate.py` measures, fills a `ReportInput` and calls `write_report`. The page is one file that loads
nothing, runs no script and escapes every text of kits and models; its content security policy forbids
everything else. Not in the paper, whose code has no evaluation.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unichar.evaluation.content import ReportInput
from unichar.evaluation.metrics import HEADLINE_ARMS, HEADLINES, arm_label
from unichar.evaluation.page import report_html
from unichar.evaluation.sheets import SheetRow, contact_sheet
from unichar.store.files import json_bytes, write_atomic


def report_json(report: ReportInput) -> dict[str, Any]:
    """The content of `report.json`: numbers only, no text of kits or models but the character's id."""
    # Estimates become plain numbers: value, both ends of the interval, number of items.
    arms = {}
    for arm, metrics in report.arms.items():
        arms[arm] = {name: estimate.to_json() for name, estimate in metrics.items()}

    return {
        "character": report.character,
        "preset": report.preset,
        "base": {"name": report.base_name, "sha256": report.base_sha256},
        "arms": arms,
        "cost": report.cost,
        "data": report.data,
    }


def write_report(report: ReportInput, out: Path) -> None:
    """Write `report.json`, `report.html` and, if there are sample pictures, `contact_sheet.png` into `out`.

    Each file appears whole or not at all.

    Raises:
        ValueError: A number is not finite; then nothing is written.
    """
    # First, since it refuses what is not finite.
    numbers = json_bytes(report_json(report))

    write_atomic(out / "report.html", report_html(report).encode())
    if report.pictures:
        write_atomic(out / "contact_sheet.png", _contact_sheet_png(report))

    # Last: whoever finds report.json finds the rest.
    write_atomic(out / "report.json", numbers)


def headline(report: Mapping[str, Any]) -> list[str]:
    """Three lines for a terminal, from a `report.json`; arms that were not run are left out.

    Example: `identity       0.31 -> 0.87 -> 0.89   (base -> SFT -> GRPO, higher is better)`
    """
    lines = []
    for metric in HEADLINES:
        # An arm that was not run, or not measured for this, is left out.
        arms = [arm for arm in HEADLINE_ARMS if metric.name in report["arms"].get(arm, {})]
        if not arms:
            lines.append(f"{metric.name:<14} not measured")
            continue

        numbers = " -> ".join(f"{report['arms'][arm][metric.name]['value']:.2f}" for arm in arms)
        names = " -> ".join(arm_label(arm) if arm != "base" else arm for arm in arms)
        lines.append(f"{metric.name:<14} {numbers}   ({names}, {metric.better} is better)")
    return lines


def _contact_sheet_png(report: ReportInput) -> bytes:
    # All samples have the same arms in the same order, so the first one names the columns.
    columns = [arm_label(arm) for arm in report.pictures[0].arms]
    rows = []
    for sample in report.pictures:
        cells = tuple(tuple(pictures) for pictures in sample.arms.values())
        rows.append(SheetRow(caption=sample.prompt, pictures=cells))

    # In memory first: the caller writes the file whole or not at all.
    png = io.BytesIO()
    contact_sheet(rows, columns).save(png, "png", optimize=True)
    return png.getvalue()
