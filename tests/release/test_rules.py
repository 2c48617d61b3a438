"""The gate's rules: which models pass, which do not and why."""

import pytest
from factories_evaluation import make_gate_arms as arms

from unichar.release.config import METRICS, ReleaseConfig
from unichar.release.rules import decide, rules


def test_there_is_a_rule_for_every_metric_that_settings_may_name() -> None:
    assert tuple(rules(ReleaseConfig())) == METRICS


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
