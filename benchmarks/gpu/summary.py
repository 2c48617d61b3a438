"""What the rows come to: MFU and GPU hours of a character by stage, and the tables of docs/gpu.md.

Hours are measured seconds times the counts of the preset: steps of SFT and its prior pictures; rounds of GRPO
and their validations; the report's pictures and texts. Judges, loading and saving are left out.
"""

import math
from typing import Any

from gpu.expected import Expectations, drawing, quarter
from gpu.lab import Lab
from gpu.plan import Plan
from gpu.scales import Scale
from unichar.cost.stages import stage_flops
from unichar.model.bagel.sampling import Guidance
from unichar.model.flow import time_grid

STAGES = ("sft", "grpo", "evaluate")
_NOT_YET = "not measured yet"


def summary(lab: Lab) -> dict[str, Any]:
    """MFU and hours; None for what follows from a section that did not run."""
    mfu = {row.section: row.mfu for row in lab.rows if row.name in ("step", _batch_row(lab.scale))}
    return {
        "mfu": {"sft": mfu.get("sft"), "drawing": mfu.get("pictures")},
        "predicted_hours": predicted_hours(lab.scale, lab.plan),
        "hours": _hours(lab),
    }


def predicted_hours(scale: Scale, plan: Plan) -> dict[str, float]:
    """Stage -> GPU hours of a character by the plan."""
    stages = stage_flops(scale.preset, scale.sizes, scale.texts, full=False)
    hour = plan.peak * plan.mfu * 3600
    return {name: flops * count / hour for name, (flops, count) in stages.items()}


def _hours(lab: Lab) -> dict[str, float | None]:
    """Stage -> GPU hours of a character from what was measured."""
    return {"sft": _sft_hours(lab), "grpo": _grpo_hours(lab), "evaluate": _report_hours(lab)}


def _batch_row(scale: Scale) -> str:
    return drawing(scale.batch, scale.plain_steps, 1.0)


def _velocity_seconds(lab: Lab) -> float | None:
    """Seconds of one velocity of one picture, in a batch."""
    seconds = lab.value("pictures", _batch_row(lab.scale))
    return None if seconds is None else seconds / (lab.scale.batch * lab.scale.plain_steps)


def velocities_of(steps: int, guidance: float, shift: float) -> int:
    """Velocities of one picture, those without the prompt included."""
    guide = Guidance(text=guidance)
    return steps + sum(guide.acts(t) for t in time_grid(steps, shift).tolist()[:-1])


def _picture_seconds(lab: Lab, steps: int, guidance: float, shift: float) -> float | None:
    """Seconds of drawing and decoding one picture, in a batch."""
    velocity, decode = _velocity_seconds(lab), lab.value("pictures", "decode a picture")
    if velocity is None or decode is None:
        return None
    return velocities_of(steps, guidance, shift) * velocity + decode


def _sft_hours(lab: Lab) -> float | None:
    config = lab.scale.preset.sft
    step, watch = lab.value("sft", "step"), config.validation
    prior = _picture_seconds(lab, config.prior_sample_steps, 1.0, config.shift)
    sheet = _picture_seconds(lab, watch.sample_steps, watch.guidance, watch.shift)
    if step is None or prior is None or sheet is None:
        return None

    validations = math.ceil(config.steps / watch.every) if watch.every else 0
    drawn = config.prior_pool * prior + validations * watch.pictures * sheet
    return (config.steps * step + drawn) / 3600


def _grpo_hours(lab: Lab) -> float | None:
    config = lab.scale.preset.grpo
    part, watch = lab.value("grpo", "a quarter of a round"), config.validation
    picture = _picture_seconds(lab, watch.sample_steps, watch.guidance, watch.shift)
    if part is None or picture is None:
        return None

    # A quarter has a quarter of the pictures; the tiny run's is another part.
    whole = config.rollout.group / quarter(config).rollout.group
    validations = 1 + math.ceil(config.rounds / watch.every)
    drawn = validations * watch.prompts * watch.group * picture
    return (config.rounds * whole * part + drawn) / 3600


def _report_hours(lab: Lab) -> float | None:
    scale, config = lab.scale, lab.scale.preset.evaluation
    picture = _picture_seconds(lab, config.sample_steps, config.guidance, config.shift)
    written = lab.value("texts", f"write {scale.words} words of {scale.replies} replies")
    if picture is None or written is None:
        return None

    # All arms draw, since pictures follow both components.
    drawn = len(config.arms) * (config.prompts * config.pictures + config.role_plays) * picture

    # Base and tuned talk; each reply and each reasoning text as long as it may be.
    words = (config.chats + config.role_plays) * config.max_reply_tokens
    words += config.role_plays * config.max_reasoning_tokens
    return (drawn + 2 * words * written / (scale.words * scale.replies)) / 3600


def predictions(scale: Scale, plan: Plan) -> dict[str, Any]:
    """What `markdown` shows where nothing was measured."""
    rows = []
    for key, expected in Expectations(scale, plan).rows.items():
        section, _, name = key.partition("/")
        row = {"section": section, "name": name, "value": None, "unit": expected.unit, "note": ""}
        more = {"predicted": expected.value, "predicted_peak_gb": expected.peak_gb}
        rows.append(row | more | {"peak_gb": None, "mfu": None, "n": 0})
    hours: dict[str, Any] = {"predicted_hours": predicted_hours(scale, plan)}
    hours |= {"hours": dict.fromkeys(STAGES), "mfu": {"sft": None, "drawing": None}}
    return {"card": plan.card, "mfu_predicted": plan.mfu, "rows": rows, "summary": hours}


def markdown(found: dict[str, Any]) -> str:
    """Tables of the rows, of the checks and of the hours."""
    return (
        "\n".join([*_heading(found), *_checks(found), *_rows(found), *_kernels(found), *_totals(found)])
        + "\n"
    )


def _heading(found: dict[str, Any]) -> list[str]:
    if "torch" not in found:
        return [f"Predicted for {found['card']} at an MFU of {found['mfu_predicted']:.2f}.", ""]
    lines = [
        f"{found['model']} on {found['card']}, {found['date']}; PyTorch {found['torch']}, "
        f"transformers {found['transformers']}; predictions at an MFU of {found['mfu_predicted']:.2f}.",
        "",
    ]
    for section in found["sections"]:
        if section["status"] != "done":
            lines.append(f"- `{section['name']}` {section['status']}: {section['reason']}")
    return lines + [""] * (lines[-1] != "")


def _checks(found: dict[str, Any]) -> list[str]:
    if not found.get("checks"):
        return []
    lines = ["| check | value | allowed | passed |", "|---|---|---|---|"]
    for check in found["checks"]:
        passed = "yes" if check["passed"] else "**no**"
        lines.append(f"| {check['name']} | {check['value']:.2g} | {check['allowed']:.2g} | {passed} |")
    return [*lines, ""]


def _rows(found: dict[str, Any]) -> list[str]:
    if not found["rows"]:
        return []
    lines = [
        "| section | what | predicted | measured | MFU | peak GB, predicted | peak GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        missing = row["note"] or _NOT_YET
        measured = missing if row["value"] is None else shown(row["value"], row["unit"])
        cells = (
            row["section"],
            row["name"],
            "" if row["predicted"] is None else shown(row["predicted"], row["unit"]),
            measured,
            "" if row["mfu"] is None else f"{row['mfu']:.2f}",
            "" if row["predicted_peak_gb"] is None else f"{row['predicted_peak_gb']:.1f}",
            "" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _kernels(found: dict[str, Any]) -> list[str]:
    """The attention kernel that took longest, of every way to call it."""
    if not found.get("kernels"):
        return []
    lines = ["| attention | kernel |", "|---|---|"]
    for name, kernels in found["kernels"].items():
        lines.append(f"| {name} | {f'`{kernels[0]}`' if kernels else 'none by its name'} |")
    return [*lines, ""]


def _totals(found: dict[str, Any]) -> list[str]:
    if "summary" not in found:
        return []
    totals = found["summary"]
    lines = ["| a character | predicted GPU hours | measured GPU hours |", "|---|---|---|"]
    for stage in STAGES:
        lines.append(
            f"| {stage} | {totals['predicted_hours'][stage]:.2f} | {_or_not_yet(totals['hours'][stage])} |"
        )

    known = [hours for hours in totals["hours"].values() if hours is not None]
    measured = sum(known) if len(known) == len(STAGES) else None
    lines.append(f"| all | {sum(totals['predicted_hours'].values()):.2f} | {_or_not_yet(measured)} |")

    mfu = totals["mfu"]
    said = f"MFU of an SFT step {_or_not_yet(mfu['sft'])}, of drawing {_or_not_yet(mfu['drawing'])}."
    return [*lines, "", said]


def _or_not_yet(number: float | None) -> str:
    return _NOT_YET if number is None else f"{number:.2f}"


def shown(value: float, unit: str) -> str:
    """A number with its unit; short times in milliseconds or microseconds."""
    for name, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if unit == "s" and (value >= size or name == "µs"):
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
