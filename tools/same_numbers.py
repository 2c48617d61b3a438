"""Every number that a change of code must not change: losses, gradients, rewards and metrics of the preset
`smoke`.

    python tools/same_numbers.py --data data --out before.json
    python tools/same_numbers.py --data data --out after.json --against before.json

About six minutes on one core. The second command prints what differs and exits with 1 if anything does. It
takes one toon and, when `--photo` names a kit in the data folder, one photographed character; both GRPO
algorithms; one thread and seed 0, so that two runs on one machine agree to the last digit. Seconds, speed and
memory are left out.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # before torch starts its threads

_CLOCK = ("second", "rss", "per_s", "memory", "_mb")
_RENAMED = {"truth": "oracle"}
"""Keys that an older file may have -> what they are called now."""
_NEW = {"optimizer_steps"}
"""Numbers of summaries that older files do not have."""


def main() -> int:
    """Record, and compare when there is something to compare with."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with characters/ and models/")
    parser.add_argument("--toon", default="mochi")
    parser.add_argument("--photo", default="", help="id of a photographed character in the data folder")
    parser.add_argument("--algorithms", nargs="+", default=["nft", "flow_grpo"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()

    # Written after each run, so that a long recording that is stopped leaves what it has.
    found = {}
    for character in filter(None, (options.toon, options.photo)):
        for algorithm in options.algorithms:
            found[f"{character}/{algorithm}"] = record(character, algorithm, options.data.resolve())
            options.out.write_text(json.dumps(found, indent=1, sort_keys=True))

    if options.against is None:
        return 0
    before = json.loads(options.against.read_text())
    differences = []
    for name, numbers in found.items():
        differences += compare(name, before[name], numbers)
    print("\n".join(differences) or f"the same to the last digit: {', '.join(found)}")
    return 1 if differences else 0


def record(character: str, algorithm: str, data: Path) -> dict[str, Any]:
    """The numbers of one character made with `smoke` and one algorithm, in a store that is thrown away."""
    import torch

    from unichar import presets
    from unichar.pipeline.run import customize
    from unichar.store.store import Store
    from unichar.training.curves import read_curve

    torch.set_num_threads(1)
    smoke = presets.smoke()
    window = dataclasses.replace(smoke.grpo.flow_grpo, window=2)
    changed = dataclasses.replace(smoke.grpo, algorithm=algorithm, flow_grpo=window)
    presets.PRESETS["smoke"] = lambda: dataclasses.replace(smoke, grpo=changed)

    with tempfile.TemporaryDirectory() as home:
        outputs = customize(character, preset="smoke", store=Store(Path(home), data))
        made = {output.noun: output for output in outputs}
        report = json.loads((made["eval_report"].folder / "report.json").read_text())
        trained = {verb: made[f"{verb}_checkpoint"] for verb in ("sft", "grpo")}
        curves = {
            f"{verb}_curve": read_curve(output.folder / "curve.jsonl") for verb, output in trained.items()
        }
        return {
            **{name: [_timeless(row) for row in rows] for name, rows in curves.items()},
            **{verb: _timeless(output.summary) for verb, output in trained.items()},
            "arms": report["arms"],
            "interactions": made["interactions"].summary["train"],
        }


def compare(path: str, before: Any, after: Any) -> list[str]:
    """One line for each value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        before = {_RENAMED.get(name, name): value for name, value in before.items()}
        lines = [f"{path}: {name} only in one" for name in sorted((before.keys() ^ after.keys()) - _NEW)]
        for name in sorted(before.keys() & after.keys()):
            lines += compare(f"{path}/{name}", before[name], after[name])
        return lines

    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        lines = []
        for i, (one, other) in enumerate(zip(before, after, strict=True)):
            lines += compare(f"{path}/{i}", one, other)
        return lines

    return [] if before == after else [f"{path}: {before} -> {after}"]


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    """The numbers that do not depend on the machine."""
    return {name: value for name, value in sorted(row.items()) if not any(word in name for word in _CLOCK)}


if __name__ == "__main__":
    sys.exit(main())
