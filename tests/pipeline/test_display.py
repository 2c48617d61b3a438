"""What is shown of outputs is small and true."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from factories_evaluation import make_report_input
from PIL import Image

from unichar.evaluation.metrics import METRICS
from unichar.evaluation.report import write_report
from unichar.pipeline.display import curve_picture, report_table, show, thumbnail
from unichar.store.files import sha256_file
from unichar.store.store import Store


def report(**arms: dict[str, float]) -> dict:
    return {
        "arms": {
            arm: {name: {"value": value} for name, value in metrics.items()} for arm, metrics in arms.items()
        }
    }


def test_the_table_has_what_was_measured_and_fits_in_place() -> None:
    names = [metric.name for metric in METRICS]
    full = report(**{arm: dict.fromkeys(names, 0.12345) for arm in ("base", "sft", "grpo")})
    assert len(report_table(full)) < 1000
    table = report_table(report(base={"style": 0.5}, sft={"style": 0.75}))
    assert table.splitlines()[2:] == ["| Style | 0.50 | 0.75 | - |"]


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], list(np.sin(np.arange(5000) / 300)), [1e9, -1e9] * 40])
def test_a_curve_fits_in_place_whatever_its_length(values: list[float]) -> None:
    picture = curve_picture("loss", values)
    assert len(picture) < 1000
    svg = base64.b64decode(picture.split("base64,")[1].rstrip(")")).decode()
    points = [tuple(map(int, point.split(","))) for point in svg.split('points="')[1].split('"')[0].split()]
    assert len(points) == min(len(values), 60)
    assert all(0 <= x <= 240 and 0 <= y <= 60 for x, y in points)


def test_a_falling_loss_falls_on_the_picture() -> None:
    svg = base64.b64decode(curve_picture("loss", [3.0, 2.0, 1.0]).split("base64,")[1].rstrip(")")).decode()
    assert 'points="0,2 120,30 240,58"' in svg


def test_a_thumbnail_stays_small(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "sheet.png")
    shown = thumbnail(tmp_path / "sheet.png", name="contact sheet")
    assert shown.startswith("![contact sheet](data:image/jpeg;base64,")
    assert len(base64.b64decode(shown.split("base64,")[1].rstrip(")"))) <= 20_000


def test_the_last_lines_of_a_demo_are_the_report_and_three_numbers(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "runs" / "mochi" / "6_eval_report" / "abc"
    folder.mkdir(parents=True)
    write_report(make_report_input(), folder)
    (folder / "summary.json").write_text("{}")
    (folder / "manifest.json").write_text("{}")
    pointer = {"fingerprint": "abc", "manifest_sha256": sha256_file(folder / "manifest.json")}
    (folder.parent / "CURRENT.json").write_text(json.dumps(pointer))
    lines = show("mochi", Store(tmp_path, tmp_path / "data")).splitlines()
    assert lines[0] == f"report: {folder / 'report.html'}"
    assert [line.split()[0] for line in lines[1:]] == ["identity", "held_out_nll", "alignment"]
    assert "0.31 -> 0.87 -> 0.89" in lines[1]
