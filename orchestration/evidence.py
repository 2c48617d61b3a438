"""Metadata by which an asset shows its output in the Dagster UI: pictures, curves, tables and paths.

Markdown under 1000 characters is shown in place, longer markdown behind a link. It holds numbers and pictures
only: text of a kit or a model is never rendered here and stays in the files whose paths are given.
"""

import dagster as dg

from unichar.pipeline.display import curve_picture, report_table, thumbnail
from unichar.release.gate import read_report
from unichar.store.store import Output
from unichar.training.curves import read_curve

Evidence = dict[str, dg.MetadataValue]

_CURVES = ("loss", "ce", "mse", "held_out_nll", "reward", "held_out_reward")
_TASKS = ("ce_", "mse_")
"""Columns of `curve.jsonl` that are shown, and prefixes of the columns of single tasks."""


def verdict(output: Output) -> Evidence:
    """The page with every check of a kit."""
    return {"report": dg.MetadataValue.path(str(output.folder / "validation.html"))}


def pictures(output: Output) -> Evidence:
    """The contact sheets of an output, small."""
    sheets = sorted(output.folder.glob("contact_sheet*.png"))
    return {sheet.stem: dg.MetadataValue.md(thumbnail(sheet, name=sheet.stem)) for sheet in sheets}


def preview(output: Output) -> Evidence:
    """A page with examples of the training samples."""
    return {"preview": dg.MetadataValue.path(str(output.folder / "preview.md"))}


def curves(output: Output) -> Evidence:
    """The loss and reward curves of a training, and the last of the sheets it drew meanwhile."""
    rows = read_curve(output.folder / "curve.jsonl")
    names = [*_CURVES, *sorted({name for row in rows for name in row if name.startswith(_TASKS)})]
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    shown: Evidence = {
        f"curve_{name}": dg.MetadataValue.md(curve_picture(name, curve))
        for name, curve in columns.items()
        if curve
    }
    sheets = sorted((output.folder / "validation").glob("step-*.png"))
    if sheets:
        shown["last_sheet"] = dg.MetadataValue.md(thumbnail(sheets[-1], name=sheets[-1].stem))
    return shown


def report(output: Output) -> Evidence:
    """The main numbers as a table, contact sheets as thumbnails, the full report as a path."""
    shown: Evidence = {
        "report": dg.MetadataValue.path(str(output.folder / "report.html")),
        "main_numbers": dg.MetadataValue.md(report_table(read_report(output.folder))),
    }
    return shown | pictures(output)
