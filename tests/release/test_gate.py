"""The release stage: it reads a report, writes the decision and a card, and refuses what is no report."""

import json
from pathlib import Path
from typing import Any

import pytest
from factories_evaluation import make_gate_arms as arms
from factories_kit import make_kit

from unichar.release.config import ReleaseConfig
from unichar.release.gate import run
from unichar.types import StageJob


def release(tmp_path: Path, report: Any, **kit: Any) -> tuple[dict[str, Any], Path]:
    """Run the stage on a report; (summary, out)."""
    for name in ("report", "3f2a9c0d11aa22bb", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "report" / "report.json").write_text(
        report if isinstance(report, str) else json.dumps(report)
    )
    inputs = {
        "eval_report": tmp_path / "report",
        "grpo_checkpoint": tmp_path / "3f2a9c0d11aa22bb",
        "raw_kit": make_kit(tmp_path, **kit),
    }
    job = StageJob(
        character="pip",
        config=ReleaseConfig(),
        seed=0,
        inputs=inputs,
        base=tmp_path,
        scratch=tmp_path,
        out=tmp_path / "out",
    )
    return run(job), job.out


def test_the_stage_writes_the_decision_and_the_card(tmp_path: Path) -> None:
    base = {"name": "nano", "sha256": "ab" * 32}
    data = {"images": 8, "interactions": {"role_play": 190, "portrait": 48}}
    summary, out = release(tmp_path, {"character": "pip", "base": base, "arms": arms(), "data": data})
    assert summary["passed"] is True and summary["identity"] == 0.9
    decision = json.loads((out / "release.json").read_text())
    assert decision["passed"] and decision["grpo_checkpoint"] == "3f2a9c0d11aa22bb"
    assert decision["metrics"]["grpo"]["identity"]["n"] == 16
    card = (out / "MODEL_CARD.md").read_text()
    for part in (
        "# Pip",
        "ab" * 32,
        "8 pictures and 190 role play, 48 portrait",
        "0.900 [0.850, 0.950] n=16",
        "basis: ",
        "## Limits",
    ):
        assert part in card
    assert "Not released" not in card


def test_a_model_that_is_held_back_gets_a_card_that_says_why(tmp_path: Path) -> None:
    summary, out = release(tmp_path, {"character": "pip", "arms": arms(identity=0.1)})
    assert summary["passed"] is False and summary["num_reasons"] == 1
    card = (out / "MODEL_CARD.md").read_text()
    assert "**Not released.**" in card and "- identity is 0.100" in card


@pytest.mark.parametrize(
    "report",
    [
        "",
        "[]",
        "{}",
        '{"arms": {"base": {"identity": {}}}}',
        '{"arms": {"base": {"identity": {"value": "x"}}}}',
    ],
)
def test_no_report_is_one_message(tmp_path: Path, report: str) -> None:
    with pytest.raises(ValueError, match=r"report\.json is no report .* run `python -m unichar evaluate"):
        release(tmp_path, report)
