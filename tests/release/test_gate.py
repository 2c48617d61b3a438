"""The release gate: who passes, who does not and why, and a card that says so without letting a kit write markup."""

import json
from pathlib import Path
from typing import Any

import pytest
from factories_kit import make_kit

from unichar.release.config import ReleaseConfig
from unichar.release.gate import decide, plain, run
from unichar.types import StageJob


def estimate(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 16}


def arms(**grpo: float | None) -> dict[str, dict[str, Any]]:
    """Arms of a report in which grpo is better than the base in everything; `None` leaves a metric of grpo out."""
    good = {"identity": 0.9, "held_out_nll": 2.5, "alignment": 0.7, "style": 0.8, "copying": 0.1} | grpo
    base = {"identity": 0.3, "held_out_nll": 4.5, "alignment": 0.75, "style": 0.2, "copying": 0.0}
    return {
        "base": {name: estimate(value) for name, value in base.items()},
        "grpo": {name: estimate(value) for name, value in good.items() if value is not None},
    }


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


def test_better_than_the_base_passes() -> None:
    decision = decide(arms(), ReleaseConfig())
    assert decision.passed and not decision.reasons and len(decision.held) == 5


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"identity": 0.3}, "identity is 0.300; it must be above 0.300"),
        ({"held_out_nll": 4.6}, "held_out_nll is 4.600; it must be at most 4.500"),
        ({"alignment": 0.6}, "alignment is 0.600; it must be at least 0.650"),
        ({"style": 0.1}, "style is 0.100; it must be at least 0.200"),
        ({"copying": 0.6}, "copying is 0.600; it must be at most 0.500"),
        ({"identity": None}, "identity was not measured for grpo"),
    ],
)
def test_one_thing_worse_holds_it_back(worse: dict[str, float | None], reason: str) -> None:
    decision = decide(arms(**worse), ReleaseConfig())
    assert not decision.passed
    [said] = decision.reasons
    assert said.startswith(reason)


def test_all_reasons_are_given_at_once() -> None:
    assert len(decide(arms(identity=0.1, held_out_nll=9.0, copying=1.0), ReleaseConfig()).reasons) == 3


def test_what_was_not_measured_is_skipped_and_said_unless_required() -> None:
    decision = decide(arms(style=None, alignment=None), ReleaseConfig())
    assert decision.passed
    assert decision.skipped == ("alignment was not measured for grpo", "style was not measured for grpo")
    assert not decide({"base": {}, "grpo": {}}, ReleaseConfig()).passed
    assert not decide({}, ReleaseConfig()).passed


def test_the_stage_writes_the_verdict_and_the_card(tmp_path: Path) -> None:
    base = {"name": "nano", "sha256": "ab" * 32}
    data = {"images": 8, "interactions": {"role_play": 190, "portrait": 48}}
    summary, out = release(tmp_path, {"character": "pip", "base": base, "arms": arms(), "data": data})
    assert summary["passed"] is True and summary["identity"] == 0.9
    verdict = json.loads((out / "release.json").read_text())
    assert verdict["passed"] and verdict["grpo_checkpoint"] == "3f2a9c0d11aa22bb"
    assert verdict["metrics"]["grpo"]["identity"]["n"] == 16
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


def test_words_of_a_kit_never_become_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> [x](http://evil) ![y](z) `code` **b** | # title"
    report = {"character": "pip", "base": {"name": evil}, "arms": arms(), "data": {"interactions": {evil: 1}}}
    _, out = release(
        tmp_path,
        report,
        description=f"- {evil}",
        name="# Pip\n\n## Evil",
        rights={"basis": "original", "holder": evil},
    )
    card = (out / "MODEL_CARD.md").read_text()
    assert "<script>" not in card and "](http" not in card and "**b**" not in card and "http://" not in card
    assert card.startswith("# \\# Pip \\#\\# Evil\n")
    assert "\n- \\<" not in card and "\n\\- &lt;script&gt;" in card


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a-b, c.d", "a-b, c.d"),
        ("1. x", "1\\. x"),
        ("--- x", "\\--- x"),
        ("www.x.de", "www\\.x.de"),
        ("", ""),
    ],
)
def test_plain_text_stays_readable(text: str, shown: str) -> None:
    assert plain(text) == shown


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
    with pytest.raises(ValueError, match=r"report\.json is no report .* run `evaluate --force`"):
        release(tmp_path, report)


@pytest.mark.parametrize(
    "wrong",
    [
        {"identity_gain": 2},
        {"copying_most": -0.1},
        {"nll_loss": -1},
        {"nll_loss": float("nan")},
        {"required": ("fame",)},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ReleaseConfig"):
        ReleaseConfig(**wrong)
