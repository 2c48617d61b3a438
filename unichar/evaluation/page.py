"""`report.html`: one file for people, from a `ReportInput`. Sections from top to bottom as the functions below.

Every word goes through `markup.element`, which escapes it. No torch.
"""

import itertools
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from unichar.evaluation.charts import NUM_SERIES, Points, bar, line_chart, tone
from unichar.evaluation.content import ChatSample, ReportInput, RolePlaySample, ThinkThenDraw
from unichar.evaluation.markup import Markup, element, join
from unichar.evaluation.metrics import HEADLINE_ARMS, HEADLINES, Metric, arm_label, compare, measured
from unichar.evaluation.page_style import STYLE
from unichar.evaluation.sheets import thumbnail_data_uri
from unichar.evaluation.statistics import Estimate

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SHEET_BYTES, _PICTURE_BYTES = 2_000_000, 60_000
"""Most characters of the embedded sheet and of a role-play picture."""
_STAGES = {"sft": "SFT", "grpo": "GRPO"}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_NOTHING = Markup("")


def report_html(report: ReportInput) -> str:
    """The whole page."""
    sections = (_hero, _headlines, _metrics, _sheet, _chats, _role_plays, _curves, _facts, _notes, _origin)
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", f"{report.name}: report"),
            element("style", Markup(STYLE)),
        ),
        element("body", element("main", *(section(report) for section in sections))),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _hero(report: ReportInput) -> Markup:
    strip = [
        element("img", src=thumbnail_data_uri(image), alt="reference picture") for image in report.references
    ]
    return element(
        "header",
        element(
            "div",
            element(
                "p",
                "Character report" + (f" · {report.preset} preset" if report.preset else ""),
                class_="kicker",
            ),
            element("h1", report.name, dir="auto"),
            element("p", report.description, class_="about", dir="auto"),
        ),
        element("div", *strip, class_="strip") if strip else _NOTHING,
        class_="hero",
    )


def _headlines(report: ReportInput) -> Markup:
    cards = [_card(metric, report.arms) for metric in HEADLINES]
    return element("div", *cards, class_="cards")


def _card(metric: Metric, arms: Mapping[str, dict[str, Estimate]]) -> Markup:
    """Base -> SFT -> GRPO: the values, their bars with intervals, and what each step changed."""
    steps = [(arm, arms[arm][metric.name]) for arm in HEADLINE_ARMS if metric.name in arms.get(arm, {})]
    if not steps:
        return element(
            "div", element("h3", metric.label), element("p", "not measured", class_="soft"), class_="card"
        )
    high = metric.high or _top([estimate for _, estimate in steps])
    values: list[Markup] = [element("span", f"{steps[0][1].value:.2f}")]
    changes: list[Markup] = []
    for (before, old), (after, new) in itertools.pairwise(steps):
        verdict = compare(metric, old, new)
        color = {"better": "good", "worse": "bad", "unclear": "soft"}[verdict]
        values += [element("i", _arrow(old, new), class_=color), element("span", f"{new.value:.2f}")]
        changes.append(
            _change(f"{arm_label(before)} → {arm_label(after)}", new.value - old.value, verdict, color)
        )
    rows = [
        element(
            "div",
            element("span", arm_label(arm), class_="soft"),
            bar(estimate, arm, low=metric.low, high=high),
            element("span", _interval(estimate), class_="soft"),
            class_="pair",
        )
        for arm, estimate in steps
    ]
    return element(
        "div",
        element("h3", metric.label),
        element("p", metric.range, class_="soft small"),
        element("p", *values, class_="way"),
        *rows,
        element("ul", *changes) if changes else _NOTHING,
        class_="card",
    )


def _change(step: str, difference: float, verdict: str, color: str) -> Markup:
    says = "intervals overlap" if verdict == "unclear" else verdict
    return element(
        "li",
        f"{step}: {difference:+.2f}".replace("-", "−") + ", ",
        element("b", says, class_=color),
        class_="small",
    )


def _metrics(report: ReportInput) -> Markup:
    rows = [
        _metric_row(metric, report.arms)
        for metric in measured({name for arm in report.arms.values() for name in arm})
    ]
    if not rows:
        return _NOTHING
    heads = [element("th", element("span", class_=f"dot {tone(arm)}"), arm_label(arm)) for arm in report.arms]
    table = element(
        "table", element("thead", element("tr", element("th", "Metric"), *heads)), element("tbody", *rows)
    )
    lead = "Every number is a mean with a 95 % bootstrap interval (whiskers). Bold: the best of its row."
    return element(
        "section",
        element("h2", "All metrics"),
        element("p", lead, class_="lead"),
        element("div", table, class_="scroll"),
    )


def _metric_row(metric: Metric, arms: Mapping[str, dict[str, Estimate]]) -> Markup:
    found = {arm: metrics[metric.name] for arm, metrics in arms.items() if metric.name in metrics}
    high = metric.high or _top(list(found.values()))
    pick = max if metric.better == "higher" else min
    models = [estimate.value for arm, estimate in found.items() if arm != "truth"]
    best = pick(models) if metric.better and len(models) > 1 else None
    cells = []
    for arm in arms:
        if arm not in found:
            cells.append(element("td", element("span", "–", class_="soft"), class_="number"))
            continue
        estimate = found[arm]
        about = element("span", f"{_interval(estimate)} · n {estimate.n}", class_="soft small")
        value = element("b", f"{estimate.value:.2f}")
        classes = "number best" if estimate.value == best else "number"
        cells.append(
            element("td", value, bar(estimate, arm, low=metric.low, high=high), about, class_=classes)
        )
    return element(
        "tr",
        element(
            "th",
            element("h3", metric.label),
            element("p", metric.meaning, class_="small"),
            element("p", metric.range, class_="soft small"),
            scope="row",
        ),
        *cells,
    )


def _sheet(report: ReportInput) -> Markup:
    if report.sheet is None:
        return _NOTHING
    image = element(
        "img",
        src=thumbnail_data_uri(report.sheet, _SHEET_BYTES),
        alt="Contact sheet: pictures of each arm, a row a prompt",
    )
    lead = "The same prompts and the same seeds in every column."
    return element(
        "section",
        element("h2", "Pictures"),
        element("p", lead, class_="lead"),
        element("div", image, class_="sheet"),
    )


def _chats(report: ReportInput) -> Markup:
    if not report.chats:
        return _NOTHING
    lead = "The same words said to every arm, and what was written for the character."
    samples = [_chat(sample) for sample in report.chats]
    return element("section", element("h2", "Conversation"), element("p", lead, class_="lead"), *samples)


def _chat(sample: ChatSample) -> Markup:
    replies = [_arm(arm, _words(reply, arm)) for arm, reply in sample.replies.items()]
    if sample.reference:
        words = element("p", sample.reference, class_="says reply tone-reference", dir="auto")
        replies.append(element("div", element("h3", "Written for the character"), words, class_="arm"))
    return element("div", _user(sample.user), element("div", *replies, class_="arms"), class_="moment")


def _role_plays(report: ReportInput) -> Markup:
    if not report.role_plays:
        return _NOTHING
    lead = "The model replies, thinks of how it looks in that moment, instructs itself, and draws: nobody describes the picture."
    samples = [_role_play(sample) for sample in report.role_plays]
    return element("section", element("h2", "Role play"), element("p", lead, class_="lead"), *samples)


def _role_play(sample: RolePlaySample) -> Markup:
    arms = [_arm(arm, *_chain(arm, ThinkThenDraw(*chain))) for arm, chain in sample.arms.items()]
    return element("div", _user(sample.user), element("div", *arms, class_="arms"), class_="moment")


def _chain(arm: str, chain: ThinkThenDraw) -> list[Markup]:
    picture = element("div", "no picture", class_="blank")
    if chain.picture is not None:
        picture = element(
            "img", src=thumbnail_data_uri(chain.picture, _PICTURE_BYTES), alt=f"picture by {arm_label(arm)}"
        )
    asides = [
        element("div", element("b", title), element("p", text, class_="says", dir="auto"), class_="aside")
        for title, text in (("Thinking", chain.thinking), ("Instruction", chain.instruction))
        if text
    ]
    return [picture, _words(chain.reply, arm), *asides]


def _user(text: str) -> Markup:
    return element("p", text, class_="says user", dir="auto")


def _words(text: str, arm: str) -> Markup:
    return element("p", text or "(nothing)", class_=f"says reply {tone(arm)}", dir="auto")


def _arm(arm: str, *parts: Markup) -> Markup:
    return element(
        "div", element("h3", element("span", class_=f"dot {tone(arm)}"), arm_label(arm)), *parts, class_="arm"
    )


def _curves(report: ReportInput) -> Markup:
    main, more = [], []
    for stage, rows in report.curves.items():
        columns = _columns(rows)
        rewards = {name: points for name, points in columns.items() if "reward" in name}
        main += [_plot(stage, name, {name: points}) for name, points in columns.items() if "loss" in name]
        names = list(rewards)
        for start in range(0, len(names), NUM_SERIES):
            main.append(
                _plot(stage, "reward", {name: rewards[name] for name in names[start : start + NUM_SERIES]})
            )
        others = [name for name in columns if "loss" not in name and name not in rewards]
        more += [_plot(stage, name, {name: columns[name]}) for name in others]
    if not main and not more:
        return _NOTHING
    lead = "What training saw, step by step: pale as logged, strong as a moving average; beside each name its last average."
    hidden = element(
        "details", element("summary", f"{len(more)} further curves"), element("div", *more, class_="plots")
    )
    plots = element("div", *main, class_="plots") if main else _NOTHING
    return element(
        "section",
        element("h2", "Training"),
        element("p", lead, class_="lead"),
        plots,
        hidden if more else _NOTHING,
    )


def _columns(rows: list[dict[str, Any]]) -> dict[str, Points]:
    """Column -> (step, number), without what is no finite number, since a diverged loss is written as NaN."""
    columns: dict[str, Points] = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and isinstance(value, Real) and math.isfinite(value):
                columns.setdefault(name, []).append((float(row["step"]), float(value)))
    return columns


def _plot(stage: str, name: str, series: dict[str, Points]) -> Markup:
    label = name.replace("_", " ")
    title = f"{_STAGES.get(stage, stage)}: {label}"
    lines = {key.removeprefix("reward_").replace("_", " "): points for key, points in series.items()}
    return line_chart(lines, title=title, x_label="step", y_label=label)


def _facts(report: ReportInput) -> Markup:
    cost, data = report.cost, report.data
    seconds: Mapping[str, float] = cost["seconds"]
    total = sum(seconds.values())
    stages = [
        _fact(_STAGES.get(stage, stage), duration(used), share=used / total if total else 0.0)
        for stage, used in seconds.items()
    ]
    work = [
        _fact("text tokens seen", amount(cost["tokens"])),
        _fact("pictures seen", amount(cost["images"])),
        _fact("floating-point operations", amount(cost["flops"])),
        _fact("peak memory", "–" if cost["peak_rss_mb"] is None else f"{cost['peak_rss_mb']:,.0f} MB"),
    ]
    used = [_fact("reference pictures", amount(data["images"]))]
    used += [
        _fact(f"{kind.replace('_', ' ')} items", amount(num)) for kind, num in data["interactions"].items()
    ]
    used += [
        _fact(f"held out: {key.replace('_', ' ')}", amount(num)) for key, num in data["held_out"].items()
    ]
    boxes = (("Time", [*stages, _fact("together", duration(total))]), ("Work", work), ("Data", used))
    cards = [
        element("div", element("h3", title), element("table", *rows), class_="card") for title, rows in boxes
    ]
    return element("section", element("h2", "Cost and data"), element("div", *cards, class_="facts"))


def _fact(name: str, value: str, *, share: float | None = None) -> Markup:
    line = (
        _NOTHING
        if share is None
        else element("div", element("i", style=f"width:{100 * share:.1f}%"), class_="share")
    )
    return element("tr", element("td", name, line, class_="soft"), element("td", value))


def _notes(report: ReportInput) -> Markup:
    if not report.notes:
        return _NOTHING
    items = [element("li", note, dir="auto") for note in report.notes]
    return element("section", element("h2", "Notes"), element("ul", *items, class_="notes"))


def _origin(report: ReportInput) -> Markup:
    rows = [("Character", report.character), ("Preset", report.preset), ("Base model", report.base_name)]
    rows += [("Base sha256", report.base_sha256), ("Fingerprint of inputs", report.fingerprint)]
    parts = [
        join(element("dt", name), element("dd", element("code", value))) for name, value in rows if value
    ]
    return element("section", element("h2", "Provenance"), element("dl", *parts, class_="origin"))


def duration(seconds: float) -> str:
    """As `48 s`, `2 min 19 s` or `3 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def amount(number: Any) -> str:
    """A count for people, as `812`, `12,400`, `1.3 million` or `2.1 × 10¹⁵`; `–` for `None`; other things as they are."""
    if number is None:
        return "–"
    if isinstance(number, bool) or not isinstance(number, Real):
        return str(number)
    value = float(number)
    if value >= 1e9:
        power = int(math.log10(value))
        return f"{value / 10**power:.1f} × 10{str(power).translate(_RAISED)}"
    if value >= 1e6:
        return f"{value / 1e6:.1f} million"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.2f}–{estimate.high:.2f}"


def _top(estimates: list[Estimate]) -> float:
    """The end of a scale without one of its own."""
    return max(estimate.high for estimate in estimates) * 1.05


def _arrow(before: Estimate, after: Estimate) -> str:
    if f"{before.value:.2f}" == f"{after.value:.2f}":
        return "→"
    return "↗" if after.value > before.value else "↘"
