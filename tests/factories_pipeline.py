"""A pipeline in which only training and evaluation are toys: they write a few bytes and load no model.

Everything else is real: the kit, its checks, curation, interactions, the store, the gates, the release.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from factories_kit import make_kit

from unichar.store.store import Store
from unichar.types import StageJob

TOYS = {"sft": "unichar.sft.train", "grpo": "unichar.grpo.train", "evaluate": "unichar.evaluation.evaluate"}

UNFITTED = SimpleNamespace(
    choose_microbatches=lambda job: job,
    chosen_microbatches=lambda job, fitted: {},
    out_of_memory_explained=lambda verb, job: nullcontext(),
)
"""Stands in for `unichar.cost.fit`, which loads torch."""


class Toys:
    """Stands in for the stages that load a model; remembers which ran, with which job."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs: list[tuple[str, StageJob]] = []
        self.identity = 0.9
        unmeasured = SimpleNamespace(training_flops=lambda verb, job, summary: {})
        monkeypatch.setitem(sys.modules, "unichar.cost.measured", unmeasured)
        monkeypatch.setitem(sys.modules, "unichar.cost.fit", UNFITTED)
        for verb, module in TOYS.items():
            monkeypatch.setitem(
                sys.modules, module, SimpleNamespace(run=lambda job, verb=verb: self._run(verb, job))
            )

    @property
    def ran(self) -> list[str]:
        """Verbs in the order they ran."""
        return [verb for verb, _ in self.jobs]

    def _run(self, verb: str, job: StageJob) -> dict[str, Any]:
        self.jobs.append((verb, job))
        if verb == "evaluate":
            (job.out / "report.json").write_text(json.dumps(make_report(job.character, self.identity)))
        else:
            (job.out / "adapters").mkdir()
            (job.out / "adapters" / "weights.txt").write_text(f"{verb} {job.seed}")
        return {"loss": 0.25}


def make_report(character: str, identity: float) -> dict[str, Any]:
    """A report.json in which the base has identity 0.3 and everything else is equal."""

    def arm(identity: float) -> dict[str, Any]:
        values = {"identity": identity, "held_out_nll": 2.5}
        return {name: {"value": value, "low": value, "high": value, "n": 8} for name, value in values.items()}

    return {
        "character": character,
        "base": {"name": "nano", "sha256": ""},
        "arms": {"base": arm(0.3), "grpo": arm(identity)},
    }


def make_store(folder: Path, *characters: str, **kit: Any) -> Store:
    """A store with kits of these characters and a base model that nobody can load."""
    for character in characters:
        make_kit(folder / "data" / "characters", character, **kit)
    base = folder / "data" / "models" / "nano" / "base.safetensors"
    base.parent.mkdir(parents=True)
    base.write_bytes(b"a base")
    return Store(folder, folder / "data")


def edit_kit(store: Store, character: str, file: str, old: str, new: str) -> None:
    """Change a text of a kit as a user would."""
    path = store.kit(character) / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
