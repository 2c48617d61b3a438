"""What an asset shows of its output in the Dagster UI, beyond its numbers. Markdown under 1000 characters is shown in place."""

import dagster as dg

from unichar.learning.curves import read_curve
from unichar.show import curve_picture, read_report, report_table, thumbnail
from unichar.store import Output

_CURVES_SHOWN = 4


def curves(output: Output) -> dict[str, dg.MetadataValue]:
    """The loss and reward curves of a training."""
    rows = read_curve(output.folder / "curve.jsonl")
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if "loss" in name or "reward" in name]
    return {
        f"curve_{name}": dg.MetadataValue.md(curve_picture(name, [row[name] for row in rows if name in row]))
        for name in names[:_CURVES_SHOWN]
    }


def report(output: Output) -> dict[str, dg.MetadataValue]:
    """The main numbers as a table, the contact sheet as a thumbnail, the full report as a path."""
    numbers = read_report(output.folder)
    shown: dict[str, dg.MetadataValue] = {
        "report": dg.MetadataValue.path(str(output.folder / "report.html")),
        "main_numbers": dg.MetadataValue.md(report_table(numbers)),
    }
    for sheet in sorted(output.folder.glob("contact_sheet*.png")):
        shown[sheet.stem] = dg.MetadataValue.md(thumbnail(sheet, name=sheet.stem))
    return shown
