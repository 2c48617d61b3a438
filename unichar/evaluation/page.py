"""`report.html`: one file for people, from a `ReportInput`. No torch.

This module turns the content into what the page prints: labels, formatted numbers, charts, pictures as data
URIs. `templates/report.html.j2` lays it out, pictures first, and escapes every text of kits and models.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from markupsafe import Markup

from unichar.evaluation.charts import NUM_SERIES, Points, bar, line_chart, tone
from unichar.evaluation.content import ChatSample, PictureSample, ReportInput, RolePlaySample
from unichar.evaluation.formatting import amount, duration, interval, signed, trend
from unichar.evaluation.metrics import HEADLINE_ARMS, HEADLINES, Metric, arm_label, compare, measured
from unichar.evaluation.sheets import thumbnail_data_uri
from unichar.evaluation.statistics import Estimate
from unichar.pages.render import render_html

_SAMPLE_BYTES, _ROLE_PLAY_BYTES = 16_000, 60_000
"""Most characters of a data URI: for the small pictures of prompts, and for the larger ones of role play."""
_STAGES = {"sft": "SFT", "grpo": "GRPO"}
_COLORS = {"better": "good", "worse": "bad", "unclear": "soft"}
"""Verdict of a comparison -> style class."""

Metrics = Mapping[str, Estimate]


@dataclass(frozen=True)
class Arm:
    """How an arm is named and coloured."""

    label: str
    tone: str


@dataclass(frozen=True)
class Picture:
    """An embedded picture."""

    src: str
    """A `data:` URI."""
    alt: str


@dataclass(frozen=True)
class Step:
    """One arm of a headline card."""

    arm: Arm
    value: str
    bar: Markup
    interval: str
    arrow: str
    """Compared with the arm before it; empty for the first."""
    change: str
    """As `Base → SFT: +0.56`; empty for the first."""
    says: str
    """`better`, `worse` or `intervals overlap`."""
    color: str


@dataclass(frozen=True)
class Cell:
    """One arm's number in the table of all metrics."""

    value: str
    bar: Markup
    detail: str
    """Its interval and number of items."""
    is_best: bool


@dataclass(frozen=True)
class Answer:
    """One arm's answer to a multimodal turn."""

    arm: Arm
    picture: Picture | None
    reply: str
    asides: list[tuple[str, str]]
    """(title, text) of what the arm wrote on the way to the picture."""


@dataclass(frozen=True)
class Fact:
    """One line of a card with costs or amounts."""

    name: str
    value: str
    fraction: float | None = None
    """Of the whole, in 0..1, drawn as a bar."""


def report_html(report: ReportInput) -> str:
    """The whole page."""
    # The table has a row for every metric that at least one arm has.
    found = measured({name for metrics in report.arms.values() for name in metrics})
    charts, further_charts = _charts(report.curves)

    page = render_html(
        "evaluation/templates/report.html.j2",
        report=report,
        references=[
            Picture(thumbnail_data_uri(image), f"reference picture {number} of {report.name}")
            for number, image in enumerate(report.references, 1)
        ],
        columns=_columns(report.pictures),
        samples=[(sample.prompt, _sample_pictures(sample)) for sample in report.pictures],
        cards=[(metric, _steps(metric, report.arms)) for metric in HEADLINES],
        role_plays=[(sample.user, _answers(sample)) for sample in report.role_plays],
        chats=[(sample.user, _replies(sample)) for sample in report.chats],
        arms=[_arm(arm) for arm in report.arms],
        rows=[(metric, _cells(metric, report.arms)) for metric in found],
        charts=charts,
        further_charts=further_charts,
        facts=_facts(report),
        origin=_origin(report),
    )
    return str(page)


def _arm(arm: str) -> Arm:
    return Arm(arm_label(arm), tone(arm))


def _columns(samples: Sequence[PictureSample]) -> list[tuple[Arm, int]]:
    """(arm, most pictures in a row) of each column."""
    columns = []
    # All samples have the same arms, so the first one tells the columns.
    for arm in samples[0].arms if samples else ():
        # A column without any picture still takes the width of one.
        most = max(len(sample.arms[arm]) for sample in samples)
        columns.append((_arm(arm), max(most, 1)))
    return columns


def _sample_pictures(sample: PictureSample) -> list[list[Picture]]:
    columns = []
    for arm, images in sample.arms.items():
        alt = f"{arm_label(arm)}: {sample.prompt}"
        # Pictures of one arm and prompt have one description; which of them it is says nothing.
        columns.append([Picture(thumbnail_data_uri(image, _SAMPLE_BYTES), alt) for image in images])
    return columns


def _steps(metric: Metric, arms: Mapping[str, Metrics]) -> list[Step]:
    """Base, SFT and GRPO of one metric, each compared with the one before."""
    found = {arm: arms[arm][metric.name] for arm in HEADLINE_ARMS if metric.name in arms.get(arm, {})}
    # Bars of one card have one scale.
    high = _scale_end(metric, found.values())

    steps: list[Step] = []
    before = ""
    for arm, estimate in found.items():
        # The first arm has nothing to be compared with.
        arrow = change = says = color = ""
        if before:
            verdict = compare(metric, found[before], estimate)
            difference = signed(estimate.value - found[before].value)
            arrow = trend(found[before], estimate)
            change = f"{arm_label(before)} → {arm_label(arm)}: {difference}"
            says = "intervals overlap" if verdict == "unclear" else verdict
            color = _COLORS[verdict]
        before = arm

        steps.append(
            Step(
                arm=_arm(arm),
                value=f"{estimate.value:.2f}",
                bar=bar(estimate, arm, low=metric.low, high=high),
                interval=interval(estimate),
                arrow=arrow,
                change=change,
                says=says,
                color=color,
            )
        )
    return steps


def _cells(metric: Metric, arms: Mapping[str, Metrics]) -> list[Cell | None]:
    """One cell an arm, `None` where it was not measured. The oracle is no model, so it wins no row."""
    found = {arm: metrics[metric.name] for arm, metrics in arms.items() if metric.name in metrics}
    high = _scale_end(metric, found.values())

    models = [estimate.value for arm, estimate in found.items() if arm != "oracle"]
    # One measured arm is no contest, and a metric without a direction has no best.
    best = None
    if metric.better and len(models) > 1:
        best = max(models) if metric.better == "higher" else min(models)

    cells: list[Cell | None] = []
    for arm in arms:
        if arm not in found:
            cells.append(None)
            continue

        estimate = found[arm]
        cells.append(
            Cell(
                value=f"{estimate.value:.2f}",
                bar=bar(estimate, arm, low=metric.low, high=high),
                detail=f"{interval(estimate)} · n {estimate.n}",
                is_best=arm != "oracle" and estimate.value == best,
            )
        )
    return cells


def _scale_end(metric: Metric, estimates: Iterable[Estimate]) -> float:
    """Upper end of a bar's scale; for metrics without an upper end a little over the greatest interval."""
    # The whisker of the greatest interval shall not touch the end of the bar.
    return metric.high or max((estimate.high for estimate in estimates), default=0.0) * 1.05


def _answers(sample: RolePlaySample) -> list[Answer]:
    answers = []
    for arm, (reply, thinking, instruction, image) in sample.arms.items():
        # An arm without a usable instruction may have no picture.
        picture = None
        if image is not None:
            alt = f"picture by {arm_label(arm)}: {instruction or sample.user}"
            picture = Picture(thumbnail_data_uri(image, _ROLE_PLAY_BYTES), alt)

        # An arm may skip either; empty texts are left out.
        written = [("Thinking", thinking), ("Instruction", instruction)]
        answers.append(Answer(_arm(arm), picture, reply, [(title, text) for title, text in written if text]))
    return answers


def _replies(sample: ChatSample) -> list[tuple[Arm, str]]:
    replies = [(_arm(arm), reply) for arm, reply in sample.replies.items()]
    # Not an arm: what the kit's author wrote for the same user text.
    if sample.reference:
        replies.append((Arm("Written for the character", "tone-reference"), sample.reference))
    return replies


def _charts(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[list[Markup], list[Markup]]:
    """Charts of losses and rewards, and of everything else.

    Rewards of a stage are drawn into one chart, since they trade off.
    """
    charts, further = [], []
    for stage, rows in curves.items():
        series = _series(rows)
        rewards = {name: points for name, points in series.items() if "reward" in name}

        # One chart a loss: losses of different terms have different scales.
        charts += [_chart(stage, name, {name: points}) for name, points in series.items() if "loss" in name]
        for names in _chunks(list(rewards), NUM_SERIES):
            charts.append(_chart(stage, "reward", {name: rewards[name] for name in names}))

        # Learning rates, norms and the like: folded away on the page.
        others = [name for name in series if "loss" not in name and name not in rewards]
        further += [_chart(stage, name, {name: series[name]}) for name in others]
    return charts, further


def _series(rows: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Column -> (step, number). A diverged loss is written as NaN; such points are left out."""
    series: dict[str, Points] = {}
    for row in rows:
        for name, value in row.items():
            # Rows of different kinds stand in one file, so a column need not be in every row.
            if name != "step" and isinstance(value, Real) and math.isfinite(value):
                series.setdefault(name, []).append((float(row["step"]), float(value)))
    return series


def _chunks(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def _chart(stage: str, name: str, series: Mapping[str, Points]) -> Markup:
    label = name.replace("_", " ")
    # The title says "reward" already; the legend needs only which.
    lines = {key.removeprefix("reward_").replace("_", " "): points for key, points in series.items()}
    return line_chart(lines, title=f"{_STAGES.get(stage, stage)}: {label}", x_label="step", y_label=label)


def _facts(report: ReportInput) -> list[tuple[str, list[Fact]]]:
    """(title, lines) of each card with costs and amounts."""
    cost, data = report.cost, report.data
    seconds: Mapping[str, float] = cost["seconds"]
    total = sum(seconds.values())

    # Stages in the order in which they ran, then their sum.
    time = []
    for stage, used in seconds.items():
        time.append(Fact(_STAGES.get(stage, stage), duration(used), used / total if total else 0.0))
    time.append(Fact("together", duration(total)))

    # Amounts that no stage reported are shown as a dash.
    memory = "–" if cost["peak_rss_mb"] is None else f"{cost['peak_rss_mb']:,.0f} MB"
    computation = [
        Fact("text tokens seen", amount(cost["tokens"])),
        Fact("pictures seen", amount(cost["images"])),
        Fact("floating-point operations", amount(cost["flops"])),
        Fact("peak memory", memory),
    ]

    amounts = [Fact("reference pictures", amount(data["images"]))]
    for kind, count in data["interactions"].items():
        amounts.append(Fact(f"{kind.replace('_', ' ')} items", amount(count)))
    for kind, count in data["held_out"].items():
        amounts.append(Fact(f"held out: {kind.replace('_', ' ')}", amount(count)))
    return [("Time", time), ("Computation", computation), ("Data", amounts)]


def _origin(report: ReportInput) -> list[tuple[str, str]]:
    # A run without a preset name has no such line.
    rows = [("Character", report.character), ("Preset", report.preset), ("Base model", report.base_name)]
    rows.append(("Base sha256", report.base_sha256))
    return [(name, value) for name, value in rows if value]
