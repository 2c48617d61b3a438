"""The benchmark page: what a script prints becomes a row, a failed script leaves the page alone."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location(
    "bench_report", Path(__file__).parents[2] / "benchmarks" / "report.py"
)
assert SPEC and SPEC.loader
report = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(report)


def row(**changes):
    return {
        "benchmark": "b",
        "metric": "m",
        "value": 3.5,
        "unit": "ratio",
        "goal": 3.0,
        "better": "higher",
        "n": 5,
    } | changes


def test_a_result_is_one_line_with_the_agreed_keys(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks/generation.py"])
    report.measured("one / other", 3.14159, goal=3.0, n=5)
    said = json.loads(capsys.readouterr().out)
    assert said == row(benchmark="generation", metric="one / other", value=3.1416)
    assert tuple(said) == report.KEYS


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({}, "| b | m | 3.50 × | ≥ 3.00 × | yes | 5 |"),
        ({"value": 2.9}, "| b | m | 2.90 × | ≥ 3.00 × | **no** | 5 |"),
        ({"goal": None}, "| b | m | 3.50 × |  |  | 5 |"),
        (
            {"value": 812.4, "unit": "MB", "goal": 900, "better": "lower"},
            "| b | m | 812 MB | ≤ 900 MB | yes | 5 |",
        ),
    ],
)
def test_the_page_says_what_was_reached(changes, cells):
    assert cells in report.page([row(**changes)], "Machine: 2 cores.").splitlines()


def test_a_speedup_is_the_median_of_pairs(monkeypatch):
    took = iter([4.0, 1.0, 1.0, 9.0, 6.0, 1.0])  # slow, fast; fast, slow; slow, fast
    monkeypatch.setattr(report, "seconds", lambda work: next(took))
    assert report.speedup(print, print, n=3) == 6.0


def test_unlike_results_end_a_benchmark():
    report.agree("pictures", 0.1, 0.2)
    for difference in (0.3, float("nan")):
        with pytest.raises(SystemExit, match="unlike things"):
            report.agree("pictures", difference, 0.2)


def test_what_runs_and_what_fails(tmp_path, capfd):
    good, bad, odd = (tmp_path / f"{name}.py" for name in ("good", "bad", "odd"))
    good.write_text(f"print({json.dumps(json.dumps(row()))})")
    bad.write_text("raise SystemExit('no')")
    odd.write_text("print('{}')")
    assert report.run(good) == [row()]
    with pytest.raises(ValueError, match=r"bad\.py ended with exit code 1"):
        report.run(bad)
    with pytest.raises(ValueError, match=r"odd\.py printed a line with the keys"):
        report.run(odd)
