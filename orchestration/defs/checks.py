"""Asset checks of the report: one question each, answered by comparing intervals.

They warn and stop nothing; whether a model is released is the release gate's decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from orchestration import bridge
from orchestration.defs import evaluation
from orchestration.partitions import CHARACTERS
from unichar.evaluation.metrics import METRICS, Verdict, compare
from unichar.evaluation.statistics import Estimate

_METRICS = {metric.name: metric for metric in METRICS}
_AFTER = "grpo"
_ACCEPTED: dict[str, tuple[Verdict, ...]] = {"better": ("better",), "not worse": ("better", "unclear")}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question to a report: is the finished model better, or at least not worse, than an earlier one?

    Intervals decide: what overlaps is unclear, and unclear is not better.
    """

    name: str
    asks: str
    metric: str
    before: Literal["base", "sft"]
    must_be: Literal["better", "not worse"]


QUESTIONS = (
    Question(
        name="speaks_like_itself",
        asks="Do the character's own replies surprise it less than the base?",
        metric="held_out_nll",
        before="base",
        must_be="better",
    ),
    Question(
        name="looks_like_itself",
        asks="Do its pictures look more like the references than the base's?",
        metric="identity",
        before="base",
        must_be="better",
    ),
    Question(
        name="follows_prompts",
        asks="Is what was asked for still in its pictures?",
        metric="alignment",
        before="base",
        must_be="not worse",
    ),
    Question(
        name="does_not_copy",
        asks="Are its pictures no nearer to the training pictures than the base's?",
        metric="copying",
        before="base",
        must_be="not worse",
    ),
    Question(
        name="reinforcement_helped",
        asks="Did reinforcement bring more of the prompt into the pictures?",
        metric="alignment",
        before="sft",
        must_be="better",
    ),
    Question(
        name="reinforcement_kept_identity",
        asks="Does it still look like itself after reinforcement?",
        metric="identity",
        before="sft",
        must_be="not worse",
    ),
    Question(
        name="reinforcement_kept_variety",
        asks="Do pictures of one prompt still differ after reinforcement?",
        metric="diversity",
        before="sft",
        must_be="not worse",
    ),
)


@dg.multi_asset_check(
    name="report_checks",
    specs=[
        dg.AssetCheckSpec(
            name=question.name,
            asset=evaluation.eval_report,
            description=question.asks,
            partitions_def=CHARACTERS,
        )
        for question in QUESTIONS
    ],
    can_subset=True,
)
def report_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Seven questions to the report, answered by comparing intervals."""
    arms = bridge.report_of(context)["arms"]
    for question in QUESTIONS:
        key = dg.AssetCheckKey(dg.AssetKey("eval_report"), question.name)
        if key in context.selected_asset_check_keys:
            yield answer(question, arms)


def answer(question: Question, arms: dict[str, Any]) -> dg.AssetCheckResult:
    """Compare the two arms of a question. A metric that was not measured in both counts as not passed."""
    measured = {arm: arms.get(arm, {}).get(question.metric) for arm in (question.before, _AFTER)}
    missing = [arm for arm, number in measured.items() if number is None]
    if missing:
        passed, description = False, f"{question.metric} was not measured for {' and '.join(missing)}"
    else:
        before, after = Estimate(**measured[question.before]), Estimate(**measured[_AFTER])
        found = compare(_METRICS[question.metric], before, after)
        passed = found in _ACCEPTED[question.must_be]
        description = f"against {question.before}: {found}; it must be {question.must_be}"
    numbers = {
        f"{question.metric}_{arm}": number["value"] for arm, number in measured.items() if number is not None
    }
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey("eval_report"),
        check_name=question.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata=numbers,
    )
