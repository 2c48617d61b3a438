"""Outputs at a glance, for the terminal and for Dagster: main numbers, a small table, a curve, a thumbnail.
No torch.

    unichar show --character mochi

Markdown is made of numbers and pictures only; texts of a kit or a model never become markup. Not in the
paper.
"""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unichar.evaluation.charts import sparkline
from unichar.evaluation.metrics import HEADLINE_ARMS, METRICS, arm_label
from unichar.evaluation.report import headline
from unichar.release.gate import read_report
from unichar.store.store import Store

_ROLE_PLAY = "role_play"


def report_table(report: dict[str, Any]) -> str:
    """A markdown table of the main numbers, one column per arm.

    It stays under 1000 characters, so that Dagster shows it in place.
    """
    # Header and rule of the table, then one row per metric that at least one arm has.
    lines = [["", *(arm_label(arm) for arm in HEADLINE_ARMS)], ["---"] * (len(HEADLINE_ARMS) + 1)]

    for metric in METRICS:
        row = [_number(report, arm, metric.name) for arm in HEADLINE_ARMS]

        # Role-play metrics are left out, so that the table stays short enough.
        if set(row) != {"-"} and not metric.name.startswith(_ROLE_PLAY):
            lines.append([metric.label, *row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curve_picture(name: str, values: Sequence[float]) -> str:
    """A curve as an SVG inside a markdown picture, under 1000 characters.

    Args:
        name: Alternative text, plain.
        values: At least one finite number, in order; more than 60 are averaged to 60.
    """
    svg = sparkline(values, width=240, height=60, most=60)
    return _picture(name, "svg+xml", svg.encode())


def thumbnail(picture: Path, *, name: str, most_bytes: int = 20_000) -> str:
    """A picture as a JPEG inside a markdown picture.

    Args:
        picture: File of the picture.
        name: Alternative text, plain.
        most_bytes: Largest size of the JPEG; Dagster stores it in its database twice.
    """
    # Imported here because only Dagster needs it.
    from PIL import Image

    # JPEG has no transparency.
    with Image.open(picture) as opened:
        image = opened.convert("RGB")

    # Smaller and smaller until it fits; each try takes a quarter off the side.
    side = 640
    while True:
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=60)
        if buffer.tell() <= most_bytes:
            return _picture(name, "jpeg", buffer.getvalue())
        side = side * 3 // 4


def show(character: str, store: Store) -> str:
    """The path of a character's report and its three main numbers, as lines of text.

    Raises:
        MissingOutput: The character was never evaluated; the message names the command.
    """
    # The path first: it is what a person opens next.
    output = store.current(character, "eval_report")
    return "\n".join([f"report: {output.folder / 'report.html'}", *headline(read_report(output.folder))])


def _number(report: dict[str, Any], arm: str, metric: str) -> str:
    # A dash for what was not measured, which is not the same as 0.
    measured = report["arms"].get(arm, {}).get(metric)
    return f"{measured['value']:.2f}" if measured else "-"


def _picture(name: str, kind: str, data: bytes) -> str:
    return f"![{name}](data:image/{kind};base64,{base64.b64encode(data).decode()})"
