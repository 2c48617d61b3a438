"""Runs every benchmark here and writes `docs/benchmarks.md`: `make bench`, or `python benchmarks/report.py`.

A benchmark is a script in this folder. It prints one JSON object a line on stdout (`measured` does), logs to
stderr, compares like with like and checks that both ways have the same result. Numbers are ratios within one
run: machines are noisy, and seconds of one machine tell little about another.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
NOT_RUN = ("report.py", "bagel_gpu.py")
"""This script, and what needs a GPU (docs/gpu.md)."""
KEYS = ("benchmark", "metric", "value", "unit", "goal", "better", "n")


def measured(
    metric: str,
    value: float,
    *,
    n: int,
    unit: str = "ratio",
    goal: float | None = None,
    better: str = "higher",
) -> None:
    """Print one result of the script that runs. `goal` None means that the number is context only."""
    row = {"benchmark": Path(sys.argv[0]).stem, "metric": metric, "value": round(value, 4)}
    print(json.dumps(row | {"unit": unit, "goal": goal, "better": better, "n": n}), flush=True)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def speedup(slow: Callable[[], object], fast: Callable[[], object], *, n: int) -> float:
    """Median over `n` pairs of the seconds of `slow` by those of `fast`; a pair runs back to back."""
    ratios = []
    for pair in range(n):
        first, second = (seconds(work) for work in ((slow, fast) if pair % 2 == 0 else (fast, slow)))
        ratios.append(first / second if pair % 2 == 0 else second / first)
        say(f"  pair {pair + 1} of {n}: {ratios[-1]:.2f}")
    return statistics.median(ratios)


def agree(what: str, difference: float, tolerance: float) -> None:
    """Say how far two results are apart; end the benchmark when they are different things."""
    say(f"{what}: apart by {difference:.3g}, allowed {tolerance:.3g}")
    if not difference <= tolerance:
        raise SystemExit(
            f"{what} differ by {difference:.3g}, more than {tolerance:.3g}: "
            "the benchmark would compare unlike things"
        )


def is_met(row: dict[str, Any]) -> bool | None:
    """Whether a result reaches its goal; None without a goal."""
    if row["goal"] is None:
        return None
    return row["value"] >= row["goal"] if row["better"] == "higher" else row["value"] <= row["goal"]


def page(rows: list[dict[str, Any]], machine: str) -> str:
    """The markdown of `docs/benchmarks.md`."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench`, which overwrites this page. Ratios compare two ways to the same result",
        "within one run: same model, data and seeds, results checked to be equal. Each script in",
        "`benchmarks/` says at its top what it does. What needs a GPU: [BAGEL on a GPU](gpu.md).",
        "",
        machine,
        "",
        "| benchmark | metric | value | goal | met? | n |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = {None: "", True: "yes", False: "**no**"}[is_met(row)]
        goal = (
            ""
            if row["goal"] is None
            else f"{'≥' if row['better'] == 'higher' else '≤'} {_number(row['goal'], row['unit'])}"
        )
        cells = [
            row["benchmark"],
            row["metric"],
            _number(row["value"], row["unit"]),
            goal,
            met,
            str(row["n"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float, unit: str) -> str:
    return f"{value:.2f} ×" if unit == "ratio" else f"{value:.3g} {unit}"


def machine() -> str:
    """What the numbers were made on."""
    cores = len(os.sched_getaffinity(0))
    threads = os.environ.get("OMP_NUM_THREADS", cores)
    date = time.strftime("%Y-%m-%d")
    return f"Machine: {cores} CPU cores in use, {threads} threads, PyTorch {version('torch')}, {date}."


def run(script: Path) -> list[dict[str, Any]]:
    """The results of one benchmark.

    Raises:
        ValueError: It failed, or printed something else than results.
    """
    say(f"{script.name}:")
    done = subprocess.run([sys.executable, script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{script.name} ended with exit code {done.returncode}; its last words are above")
    rows = []
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if set(row) != set(KEYS):
            raise ValueError(
                f"{script.name} printed a line with the keys {', '.join(row)}; expected {', '.join(KEYS)}"
            )
        rows.append(row)
    return rows


def main() -> int:
    """Run all; 0, or 1 with one line on stderr and the page as it was."""
    scripts = [path for path in sorted(Path(__file__).parent.glob("*.py")) if path.name not in NOT_RUN]
    try:
        rows = [row for script in scripts for row in run(script)]
    except ValueError as error:
        say(f"error: {error}")
        return 1
    PAGE.write_text(page(rows, machine()), encoding="utf-8")
    missed = [row["metric"] for row in rows if is_met(row) is False]
    say(f"{PAGE}: {len(rows)} numbers" + (f", goals missed: {'; '.join(missed)}" if missed else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
