"""Stage 7: is this model better than none? The gate's verdict, and a model card that says what it is and what it is not.

    python -m unichar release --character mochi

Reads `report.json`, writes `release.json` and `MODEL_CARD.md`. A model that fails the gate still gets its card; only the
champion pointer stays where it was (moved by `unichar.pipeline.run` after publishing). Not in the paper. No torch.
"""

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unichar.kit.schema import KitSheet, load_kit
from unichar.release.config import METRICS, ReleaseConfig
from unichar.store.files import json_bytes, write_atomic
from unichar.types import StageJob

CANDIDATE = "grpo"
Metrics = dict[str, dict[str, Any]]
"""Metric -> {"value", "low", "high", "n"}, as in report.json."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The gate's verdict, as it stands in `release.json`."""

    passed: bool
    reasons: tuple[str, ...]
    """Why not; empty when it passed."""
    held: tuple[str, ...]
    """Rules that were compared and hold."""
    skipped: tuple[str, ...]
    """Rules that nobody could compare, because the report has no such number."""


def run(job: StageJob) -> dict[str, Any]:
    """Judge the report in `job.inputs["eval_report"]`.

    Returns:
        `passed`, the number of reasons against it, and the candidate's metrics that the gate knows.

    Raises:
        ValueError: There is no readable report.json.
    """
    report = read_report(job.inputs["eval_report"])
    decision = decide(report["arms"], job.config)
    sheet = load_kit(job.inputs["raw_kit"]).sheet
    checkpoint = job.inputs["grpo_checkpoint"].name
    content = {
        "passed": decision.passed,
        "reasons": decision.reasons,
        "held": decision.held,
        "skipped": decision.skipped,
        "metrics": report["arms"],
        "grpo_checkpoint": checkpoint,
    }
    write_atomic(job.out / "release.json", json_bytes(content))
    write_atomic(
        job.out / "MODEL_CARD.md", model_card(report, decision, sheet, checkpoint=checkpoint).encode()
    )
    candidate = report["arms"].get(CANDIDATE, {})
    numbers = {name: candidate[name]["value"] for name in METRICS if name in candidate}
    return {"passed": decision.passed, "num_reasons": len(decision.reasons), **numbers}


def read_report(folder: Path) -> dict[str, Any]:
    """`report.json` of an eval_report.

    Raises:
        ValueError: It is missing or no report.
    """
    path = folder / "report.json"
    try:
        report = json.loads(path.read_bytes())
        for metrics in report["arms"].values():
            for estimate in metrics.values():
                float(estimate["value"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no report ({error!r}): run `evaluate --force` to make it again"
        ) from error
    return report


def decide(arms: dict[str, Metrics], config: ReleaseConfig) -> Decision:
    """Compare the released arm with the base, rule by rule."""
    base, tuned = arms.get("base", {}), arms.get(CANDIDATE, {})
    reasons: list[str] = []
    held: list[str] = []
    skipped: list[str] = []
    for metric, rule in _rules(config).items():
        missing = [arm for arm in ("base", CANDIDATE) if metric not in arms.get(arm, {})]
        if rule.alone:
            missing = [arm for arm in missing if arm == CANDIDATE]
        if missing:
            what = f"{metric} was not measured for {' and '.join(missing)}"
            (reasons if metric in config.required else skipped).append(what)
            continue
        value = tuned[metric]["value"]
        limit = rule.limit + (0.0 if rule.alone else base[metric]["value"])
        kept = {"above": value > limit, "at least": value >= limit, "at most": value <= limit}[rule.must_be]
        words = f"{metric} is {value:.3f}; it must be {rule.must_be} {limit:.3f} ({rule.words})"
        (held if kept else reasons).append(words)
    return Decision(passed=not reasons, reasons=tuple(reasons), held=tuple(held), skipped=tuple(skipped))


@dataclass(frozen=True, kw_only=True)
class _Rule:
    must_be: Literal["above", "at least", "at most"]
    limit: float
    words: str
    alone: bool = False
    """Compared with `limit` itself, not with the base's number plus `limit`."""


def _rules(config: ReleaseConfig) -> dict[str, _Rule]:
    return {
        "identity": _Rule(
            must_be="above", limit=config.identity_gain, words="the base's and the wanted gain"
        ),
        "held_out_nll": _Rule(
            must_be="at most", limit=config.nll_loss, words="the base's and the allowed loss"
        ),
        "alignment": _Rule(
            must_be="at least", limit=-config.alignment_loss, words="the base's less the allowed loss"
        ),
        "style": _Rule(
            must_be="at least", limit=-config.style_loss, words="the base's less the allowed loss"
        ),
        "copying": _Rule(
            must_be="at most", limit=config.copying_most, words="the setting copying_most", alone=True
        ),
    }


def model_card(report: dict[str, Any], decision: Decision, sheet: KitSheet, *, checkpoint: str) -> str:
    """The text of MODEL_CARD.md. Words of the kit are shown as they are and never become markup."""
    base = report.get("base", {})
    verdict = (
        "Released: it passed its gate." if decision.passed else "**Not released.** The gate held it back:"
    )
    rights = sheet.rights
    lines = [
        f"# {plain(sheet.name or report.get('character', ''))}",
        plain(sheet.description),
        verdict,
        bullets(decision.reasons),
        "## What it is",
        bullets(
            [
                f"character `{report.get('character', '')}`, checkpoint `{checkpoint}`",
                f"adapters on the base {plain(str(base.get('name', 'unknown')))}, sha256 `{base.get('sha256', 'unknown')}`",
                f"trained on {_amounts(report.get('data', {}))}",
            ]
        ),
        "## Rights",
        bullets(
            [
                f"{name}: {plain(text)}"
                for name, text in (
                    ("basis", rights.basis),
                    ("holder", rights.holder),
                    ("consent", rights.consent),
                    ("note", rights.note),
                )
                if text
            ]
        ),
        "Use it within these rights only. They cover what the kit shows, not what the model makes of it.",
        "## Numbers",
        "Mean, bootstrap 95 % interval, number of items. Held-out prompts, pictures and questions, the same for every column.",
        table(report["arms"]),
        "## The gate",
        bullets(
            [
                *(f"holds: {rule}" for rule in decision.held),
                *(f"not compared: {rule}" for rule in decision.skipped),
            ]
        ),
        "## Limits",
        bullets(_LIMITS),
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


_LIMITS = (
    "It knows the character from a handful of pictures: views, clothes and poses that none of them shows are guesses.",
    "Identity and alignment are judged by networks, which can be fooled; look at the contact sheets before you rely on a number.",
    "Intervals cover the choice of items, not another training run: a second seed may land outside.",
    "It speaks as a fictional voice; what it says of the world is not checked, nor is it made safe for children.",
    "Pictures of real people need their consent, whatever the rights above say.",
)


def table(arms: dict[str, Metrics]) -> str:
    """A markdown table, metrics down, arms across; what was not measured is a dash."""
    names = list(dict.fromkeys(name for metrics in arms.values() for name in metrics))
    rows = [["metric", *arms], ["---"] * (len(arms) + 1)]
    rows += [[name, *(_cell(metrics.get(name)) for metrics in arms.values())] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "–"
    text = f"{estimate['value']:.3f}"
    if "low" in estimate and "high" in estimate:
        text += f" [{estimate['low']:.3f}, {estimate['high']:.3f}]"
    return text + (f" n={estimate['n']}" if "n" in estimate else "")


def _amounts(data: dict[str, Any]) -> str:
    kinds = ", ".join(
        f"{count} {plain(kind.replace('_', ' '))}" for kind, count in data.get("interactions", {}).items()
    )
    return f"{data.get('images', 'an unknown number of')} pictures and {kinds or 'an unknown number of interactions'}"


def bullets(lines: list[str] | tuple[str, ...]) -> str:
    """A markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def plain(text: str) -> str:
    """A stranger's text on one line of markdown, shown as it is: no markup, no HTML, no link."""
    one_line = html.escape(" ".join(text.split()), quote=False)
    escaped = re.sub(r"([\\`*_{}\[\]()#!|~:@])", r"\\\1", one_line)
    return re.sub(
        r"^(\d*)([-+.=])|(www)(\.)", r"\1\3\\\2\4", escaped
    )  # lists, rules, and links that some viewers make
