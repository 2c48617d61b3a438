"""Cost estimate of a preset before anything runs: parameters, memory per GPU, FLOPs, hours.

    python -m unichar plan --preset bagel
    python -m unichar plan --preset bagel --character mochi --mfu 0.4 --json

Only shapes are loaded; no GPU and no weights are needed. FLOPs are counted by `unichar/cost/flops.py`; hours
follow from an assumed fraction of the device's peak (MFU). Text lengths are those of a RoleScape-20 character
for BAGEL and of a starter character for nano, or of `--character`, once its interactions are made.
"""

import json
from dataclasses import asdict, replace
from typing import Any

from unichar.cost.cards import CARDS, H100, Device, cards_table, fitted, loaded_model, what_fits
from unichar.cost.flops import Sizes
from unichar.cost.memory import Loaded, fits
from unichar.cost.paper import paper_flops
from unichar.cost.sizes import sizes_of
from unichar.cost.stages import stage_flops
from unichar.cost.workload import ROLESCAPE, TOON, TextLengths, measured_texts
from unichar.errors import UserError
from unichar.presets import Preset, get_preset
from unichar.store.store import Store
from unichar.types import read_interactions

MFU = 0.35
"""Fraction of a device's dense bf16 peak that is reached: assumed, not measured yet."""
PAPER_HOURS = 100
"""GPU hours per character, as the paper states."""
GOAL_HOURS = 8
"""GPU hours per character that the preset `bagel` must not exceed, its training and its report."""
_GB = 1e9
"""Decimal gigabytes, as vendors state the memory of GPUs."""
GPUS = (1, 4, 8)
"""Numbers of GPUs that BAGEL's memory is shown for: one, half a node and a node of eight."""

_LABELS = {"lora": "adapters", "full": "full tuning"}
TWO_CORES = Device(name="two cores with AVX-512 BF16", peak=0.9e12, memory=8e9)


def estimate_cost(preset: Preset, texts: TextLengths, *, mfu: float, device: Device) -> dict[str, Any]:
    """Everything the table shows, as plain numbers (bytes, FLOPs, hours).

    Raises:
        UserError: `mfu` or the device's peak is out of range.
    """
    if not 0 < mfu <= 1 or device.peak <= 0:
        raise UserError(
            f"mfu is {mfu} and the peak {device.peak:g} FLOP/s; expected 0 < mfu <= 1 and a positive peak"
        )

    sizes, parameters = sizes_of(preset.model, preset.kit.size)
    loaded = loaded_model(preset, sizes, parameters, full=False, quantize=preset.load.quantize)

    # Weights in 4 bits cannot be tuned, and are for cards that the paper's GPUs say nothing about.
    ways = {"lora": loaded}
    if not loaded.quantize:
        ways["full"] = replace(loaded, full=True)
    is_bagel = preset.model == "bagel"

    # FLOPs that the device really computes in an hour.
    hour = device.peak * mfu * 3600

    return {
        "preset": preset.name,
        "model": sizes.name,
        "device": device.name,
        "peak_flops": device.peak,
        "mfu": mfu,
        "weights": preset.load.quantize or "bf16",
        "tokens": {"picture": sizes.tokens, "seen_picture": sizes.seen_tokens, "prompt": round(texts.prompt)},
        "parameters": {**parameters, "total": sum(parameters.values())},
        "adapters": dict(loaded.adapters),
        "trainable": {kind: way.trainable for kind, way in ways.items()},
        # Both ways of training, adapters and full tuning, are shown side by side.
        "memory": {kind: _memory(preset, way, texts, device) for kind, way in ways.items()},
        "stages": {kind: _stages(preset, sizes, texts, kind == "full", hour) for kind in ways},
        "cards": what_fits(preset, texts, mfu=mfu) if is_bagel else [],
        # The paper trains BAGEL at 1024 pixels; nano has no counterpart there.
        "paper": _paper(sizes_of("bagel", 1024)[0], texts, hour) if is_bagel and "full" in ways else None,
    }


def _memory(preset: Preset, loaded: Loaded, texts: TextLengths, device: Device) -> list[dict[str, Any]]:
    """One row per stage and number of GPUs, each with the fewest microbatches that leave a tenth free."""
    # Nano is too small to be split over GPUs, and weights in 4 bits are not split.
    several = preset.model == "bagel" and not loaded.quantize
    rows = []
    for gpus in GPUS if several else (1,):
        for stage, (microbatches, memory) in fitted(
            preset, loaded, texts, gpus=gpus, card=device.memory
        ).items():
            row = {"stage": stage, "gpus": gpus, "microbatches": microbatches, **asdict(memory)}
            rows.append(row | {"total": memory.total, "fits": fits(memory, device.memory)})
    return rows


def _stages(
    preset: Preset, sizes: Sizes, texts: TextLengths, full: bool, hour: float
) -> dict[str, dict[str, float]]:
    """Stage -> FLOPs of one step (round, report), how many there are, and hours of all; `hour` is FLOPs per
    hour.
    """
    stages = {}
    for name, (flops, count) in stage_flops(preset, sizes, texts, full=full).items():
        stages[name] = {"flops": flops, "count": count, "hours": flops * count / hour}
    return stages


def _paper(sizes: Sizes, texts: TextLengths, hour: float) -> dict[str, float]:
    sft, grpo = (flops / hour for flops in paper_flops(sizes, texts))
    return {"stated_hours": PAPER_HOURS, "goal_hours": GOAL_HOURS, "sft_hours": sft, "grpo_hours": grpo}


def table(numbers: dict[str, Any]) -> str:
    """The estimate as a plain text table."""
    lines = [*_heading(numbers), *_parameters(numbers), *_memories(numbers)]
    lines += cards_table(numbers["cards"]) if numbers["cards"] else []
    return "\n".join([*lines, *_hours(numbers)])


def _heading(numbers: dict[str, Any]) -> list[str]:
    tokens = numbers["tokens"]
    return [
        f"preset {numbers['preset']}: {numbers['model']} on {numbers['device']}, "
        f"{numbers['peak_flops'] / 1e12:.4g} TFLOP/s at an MFU of {numbers['mfu']:.2f} (assumed), weights in "
        f"{numbers['weights']}",
        f"tokens: generated picture {tokens['picture']}, seen picture {tokens['seen_picture']}, "
        f"prompt {tokens['prompt']}",
    ]


def _parameters(numbers: dict[str, Any]) -> list[str]:
    lines = ["", "parameters"]
    lines += [f"  {name:<28}{_short(count):>10}" for name, count in numbers["parameters"].items()]

    # Adapters are added to the model; full tuning trains parameters that are listed above.
    adapters = numbers["adapters"]
    split = f"  (text {_short(adapters['und'])}, pictures {_short(adapters['gen'])})"
    lines.append(f"  {'trainable, adapters':<28}{_short(numbers['trainable']['lora']):>10}{split}")
    if "full" in numbers["trainable"]:
        lines.append(f"  {'trainable, full tuning':<28}{_short(numbers['trainable']['full']):>10}")
    return lines


def _memories(numbers: dict[str, Any]) -> list[str]:
    columns = ("weights", "gradients", "optimizer", "copies", "gathered", "activations", "total")
    lines = [
        "",
        "memory per GPU in GB, with the fewest microbatches that leave a tenth of the memory free",
        f"  {'':<17}{'GPUs':>4}{'microbatches':>13}" + "".join(f"{name:>12}" for name in columns),
    ]

    # First adapters, then full tuning, each for all numbers of GPUs.
    for kind, rows in numbers["memory"].items():
        for row in rows:
            name = f"{row['stage'].upper()}, {_LABELS[kind]}"
            cells = "".join(f"{row[column] / _GB:>12.2f}" for column in columns)
            note = "" if row["fits"] else " too large"
            lines.append(f"  {name:<17}{row['gpus']:>4}{row['microbatches']:>13}{cells}{note}")
    return lines


def _hours(numbers: dict[str, Any]) -> list[str]:
    lines = ["", "FLOPs and hours", f"  {'':<34}{'TFLOP each':>12}{'times':>7}{'hours':>9}"]
    names = {"sft": "SFT step", "grpo": "GRPO round", "text_rl": "text RL round", "evaluate": "report"}

    # The report costs the same for both, but stands in both sums.
    for kind, stages in numbers["stages"].items():
        label = _LABELS[kind]
        for stage, row in stages.items():
            name = f"{names[stage]}, {label}" if stage != "evaluate" else names[stage]
            tflops, hours = row["flops"] / 1e12, _hours_text(row["hours"])
            lines.append(f"  {name:<34}{tflops:>12,.4g}{row['count']:>7}{hours:>9}")

        total = _hours_text(sum(row["hours"] for row in stages.values()))
        lines.append(f"  {f'a character, {label}':<34}{'':>12}{'':>7}{total:>9}")

    if numbers["paper"]:
        lines += _comparison_with_paper(numbers)
    return lines


def _comparison_with_paper(numbers: dict[str, Any]) -> list[str]:
    paper, stages = numbers["paper"], numbers["stages"]["lora"]

    training = stages["sft"]["hours"] + stages["grpo"]["hours"]
    total = sum(row["hours"] for row in stages.values())

    # The paper's settings by the same count: it shows how far the count can be trusted.
    counted = paper["sft_hours"] + paper["grpo_hours"]
    met = "met" if total <= paper["goal_hours"] else "missed"

    return [
        "",
        f"  a character: {total:.1f} GPU hours (goal: at most {paper['goal_hours']}, {met}), of which "
        f"{training:.1f} train and {stages['evaluate']['hours']:.1f} are its report",
        f"  the paper states about {paper['stated_hours']} GPU hours; its settings counted the same way make "
        f"{counted:.0f} ({paper['sft_hours']:.1f} SFT, {paper['grpo_hours']:.1f} GRPO)",
    ]


def _hours_text(hours: float) -> str:
    # Short stages of nano would read as 0.00.
    return f"{hours:.2f}" if hours >= 1 else f"{hours:.3f}"


def _short(count: float) -> str:
    for name, size in (("B", 1e9), ("M", 1e6)):
        if count >= size:
            return f"{count / size:.2f} {name}"
    return f"{count:.0f}"


def main(
    preset: str, *, character: str = "", mfu: float = MFU, peak: float | None = None, as_json: bool = False
) -> None:
    """Print the cost estimate of a preset.

    Args:
        preset: Name of the preset.
        character: Use the text lengths of this character's current interactions.
        mfu: Fraction of the device's peak that is reached.
        peak: TFLOP/s of the device instead of the preset's usual one.
        as_json: Print numbers instead of the table.

    Raises:
        UserError: There is no such preset, or a number is out of range.
        MissingOutput: The character has no interactions yet.
    """
    # Without `--peak`, the device that a preset of this model is made for.
    settings = get_preset(preset)
    default = H100 if settings.model == "bagel" else TWO_CORES
    if settings.load.quantize:
        # Made for one card of 24 GB.
        default = CARDS[0]
    device = default
    if peak is not None:
        device = Device(name="a device", peak=peak * 1e12, memory=default.memory)

    # Typical lengths, unless there is a character to measure.
    texts = ROLESCAPE if settings.model == "bagel" else TOON
    if character:
        folder = Store.from_env().current(character, "interactions").folder
        texts = measured_texts(read_interactions(folder / "train.jsonl"))

    numbers = estimate_cost(settings, texts, mfu=mfu, device=device)
    print(json.dumps(numbers, indent=2) if as_json else table(numbers))
