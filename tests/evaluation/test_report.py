"""report.json keeps its contract, and the three files of a report are written whole or not at all."""

import dataclasses
import json
import subprocess
import sys

import pytest
from factories_evaluation import make_report_input
from PIL import Image

from unichar.evaluation.report import headline, report_json, write_report
from unichar.evaluation.statistics import Estimate


def test_json_keeps_the_contract():
    report = make_report_input()
    made = report_json(report)
    assert set(made) == {"character", "preset", "base", "arms", "cost", "data"}
    assert made["character"] == "mochi" and made["base"] == {"name": "nano", "sha256": "9f2c" * 16}
    assert list(made["arms"]) == ["base", "sft", "grpo"]
    assert set(made["arms"]["sft"]["identity"]) == {"value", "low", "high", "n"}
    assert set(made["cost"]) == {"seconds", "tokens", "images", "flops", "peak_rss_mb"}
    assert set(made["data"]) == {"images", "interactions", "held_out"}


def test_three_files_are_written(tmp_path):
    report = make_report_input()
    write_report(report, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "contact_sheet.png",
        "report.html",
        "report.json",
    ]
    assert json.loads((tmp_path / "report.json").read_text()) == report_json(report)
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert (
            sheet.width > 7 * 128 and sheet.height > 4 * 128
        )  # one oracle and two of each arm; four prompts
    assert (tmp_path / "report.html").stat().st_size < 3_000_000


def test_nothing_is_written_when_a_number_is_no_number(tmp_path):
    bad = {"sft": {"identity": Estimate(value=float("nan"), low=0.0, high=1.0, n=1)}}
    with pytest.raises(ValueError):
        write_report(make_report_input(arms=bad), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_headline_for_a_terminal():
    report = make_report_input()
    assert headline(report_json(report)) == [
        "identity       0.31 -> 0.87 -> 0.89   (base -> SFT -> GRPO, higher is better)",
        "held_out_nll   4.58 -> 2.87 -> 2.84   (base -> SFT -> GRPO, lower is better)",
        "alignment      0.58 -> 0.70 -> 0.83   (base -> SFT -> GRPO, higher is better)",
    ]
    without = dataclasses.replace(report, arms={arm: report.arms[arm] for arm in ("base", "sft")})
    assert (
        headline(report_json(without))[0] == "identity       0.31 -> 0.87   (base -> SFT, higher is better)"
    )
    assert headline({"arms": {}})[1] == "held_out_nll   not measured"


def test_no_torch_is_loaded():
    code = (
        "import sys, unichar.evaluation.report, unichar.evaluation.sheets; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
