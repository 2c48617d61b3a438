"""What people see of outputs at a glance: three lines, a small table, a curve, a thumbnail. No torch.

    python -m unichar.pipeline.display --character mochi

Markdown here is made of numbers and pictures only; words of a kit or a model never become markup. Not in the
paper.
"""

import argparse
import base64
import io
import sys
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
    """A markdown table of the main numbers, arms across, under 1000 characters so that Dagster shows it in
    place.
    """
    lines = [["", *(arm_label(arm) for arm in HEADLINE_ARMS)], ["---"] * (len(HEADLINE_ARMS) + 1)]
    for metric in METRICS:
        row = [_number(report, arm, metric.name) for arm in HEADLINE_ARMS]
        if set(row) != {"-"} and not metric.name.startswith(_ROLE_PLAY):
            lines.append([metric.label, *row])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curve_picture(name: str, values: Sequence[float]) -> str:
    """A curve as a markdown picture (SVG inside) under 1000 characters; at most 60 points, each a mean of its
    neighbours.

    Args:
        name: Shown when the picture is not; plain text.
        values: At least one finite number, in order.
    """
    svg = sparkline(values, width=240, height=60, most=60)
    return _picture(name, "svg+xml", svg.encode())


def thumbnail(picture: Path, *, name: str, most_bytes: int = 20_000) -> str:
    """A picture as small JPEG inside markdown, at most `most_bytes` large, since Dagster keeps it in its
    database twice.
    """
    from PIL import Image

    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    side = 640
    while True:
        image.thumbnail((side, side))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=60)
        if buffer.tell() <= most_bytes:
            return _picture(name, "jpeg", buffer.getvalue())
        side = side * 3 // 4


def show(character: str, store: Store) -> str:
    """Where the report of a character is and its three main numbers.

    Raises:
        MissingOutput: It was never evaluated; the message says which command does it.
    """
    output = store.current(character, "eval_report")
    return "\n".join([f"report: {output.folder / 'report.html'}", *headline(read_report(output.folder))])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0, or 1 with one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m unichar.pipeline.display", description="Print a character's main numbers."
    )
    parser.add_argument("--character", required=True)
    character = parser.parse_args(arguments).character
    try:
        print(show(character, Store.from_env()))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _number(report: dict[str, Any], arm: str, metric: str) -> str:
    measured = report["arms"].get(arm, {}).get(metric)
    return f"{measured['value']:.2f}" if measured else "-"


def _picture(name: str, kind: str, data: bytes) -> str:
    return f"![{name}](data:image/{kind};base64,{base64.b64encode(data).decode()})"


if __name__ == "__main__":
    sys.exit(main())
