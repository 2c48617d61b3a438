"""Cost estimate of a preset before anything runs: parameters, memory per GPU, FLOPs, hours.

    python -m unichar plan --preset bagel
    python -m unichar plan --preset bagel --character mochi --mfu 0.4 --json

Only shapes are loaded; no GPU and no weights are needed. FLOPs are counted by `unichar/cost/flops.py`; hours
follow from an assumed fraction of the device's peak (MFU). Text lengths are those of a RoleScape-20 character
for BAGEL and of a starter character for nano, or of `--character`, once its interactions are made.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from unichar.cost.flops import Sizes, adapter_parameters
from unichar.cost.grpo import round_flops
from unichar.cost.memory import fewest_microbatches
from unichar.cost.paper import paper_flops
from unichar.cost.report import report_flops
from unichar.cost.sft import step_flops
from unichar.cost.sizes import sizes_of
from unichar.cost.workload import ROLESCAPE, TOON, TextLengths, measured_texts
from unichar.errors import UserError
from unichar.evaluation.evaluate import ARMS
from unichar.presets import Preset, get_preset
from unichar.store.store import Store
from unichar.types import read_interactions

PAPER_HOURS = 100
"""GPU hours per character, as the paper states."""
GOAL_HOURS = 10
"""GPU hours of training per character that the preset `bagel` must not exceed."""
_GB = 1e9
"""Decimal gigabytes, as vendors state the memory of GPUs."""
GPUS = (1, 4, 8)
"""Numbers of GPUs that BAGEL's memory is shown for: one, half a node and a node of eight."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that hours are estimated for."""

    name: str
    peak: float
    """Dense bf16 FLOP/s."""
    memory: float
    """Bytes per device."""


H100 = Device(name="H100 (bf16, dense)", peak=989e12, memory=80e9)
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

    # Frozen parts count for memory, too; the autoencoder is never trained, not even in full tuning.
    sizes, parameters = sizes_of(preset.model, preset.kit.size)
    adapters = adapter_parameters(sizes, und_rank=preset.sft.und_rank, gen_rank=preset.sft.gen_rank)
    trainable = {"lora": sum(adapters.values()), "full": sum(parameters.values()) - parameters["autoencoder"]}

    # FLOPs that the device really computes in an hour.
    hour = device.peak * mfu * 3600

    return {
        "preset": preset.name,
        "model": sizes.name,
        "device": device.name,
        "peak_flops": device.peak,
        "mfu": mfu,
        "tokens": {"picture": sizes.tokens, "seen_picture": sizes.seen_tokens, "prompt": round(texts.prompt)},
        "parameters": {**parameters, "total": sum(parameters.values())},
        "adapters": adapters,
        "trainable": trainable,
        # Both ways of training, adapters and full tuning, are shown side by side.
        "memory": {
            kind: _memory(preset, sizes, texts, parameters, trainable, kind, device) for kind in trainable
        },
        "stages": {kind: _stages(preset, sizes, texts, kind == "full", hour) for kind in trainable},
        # The paper trains BAGEL at 1024 pixels; nano has no counterpart there.
        "paper": _paper(sizes_of("bagel", 1024)[0], texts, hour) if preset.model == "bagel" else None,
    }


def _memory(
    preset: Preset,
    sizes: Sizes,
    texts: TextLengths,
    parameters: dict[str, int],
    trainable: dict[str, int],
    kind: str,
    device: Device,
) -> list[dict[str, Any]]:
    """One row per number of GPUs, each with the fewest microbatches that leave a tenth of the memory free."""
    # Nano is too small to be split over GPUs.
    rows = []
    for gpus in GPUS if preset.model == "bagel" else (1,):
        # A tenth stays free for what is not counted: kernels' workspaces, the CUDA context, fragmentation.
        microbatches, memory = fewest_microbatches(
            sizes,
            texts,
            preset.sft,
            parameters=sum(parameters.values()),
            trainable=trainable[kind],
            full=kind == "full",
            gpus=gpus,
            limit=0.9 * device.memory,
        )

        row = {"gpus": gpus, "microbatches": microbatches, **asdict(memory), "total": memory.total}
        rows.append(row | {"fits": memory.total <= 0.9 * device.memory})
    return rows


def _stages(
    preset: Preset, sizes: Sizes, texts: TextLengths, full: bool, hour: float
) -> dict[str, dict[str, float]]:
    """Stage -> FLOPs of one step (round, report), how many there are, and hours of all; `hour` is FLOPs per
    hour.
    """
    # One unit of each stage, and how many of them a run has.
    sft, grpo = preset.sft, preset.grpo
    units = {
        "sft": (step_flops(sizes, texts, sft, full=full), sft.steps),
        "grpo": (round_flops(sizes, texts, grpo, gen_rank=sft.gen_rank, full=full), grpo.rounds),
        "evaluate": (report_flops(sizes, texts, preset.evaluation, arms=len(ARMS)), 1),
    }

    stages = {}
    for name, (flops, count) in units.items():
        stages[name] = {"flops": flops, "count": count, "hours": flops * count / hour}
    return stages


def _paper(sizes: Sizes, texts: TextLengths, hour: float) -> dict[str, float]:
    sft, grpo = (flops / hour for flops in paper_flops(sizes, texts))
    return {"stated_hours": PAPER_HOURS, "goal_hours": GOAL_HOURS, "sft_hours": sft, "grpo_hours": grpo}


def table(numbers: dict[str, Any]) -> str:
    """The estimate as a plain text table."""
    return "\n".join([*_heading(numbers), *_parameters(numbers), *_memories(numbers), *_hours(numbers)])


def _heading(numbers: dict[str, Any]) -> list[str]:
    tokens = numbers["tokens"]
    return [
        f"preset {numbers['preset']}: {numbers['model']} on {numbers['device']}, "
        f"{numbers['peak_flops'] / 1e12:.4g} TFLOP/s at an MFU of {numbers['mfu']:.2f}",
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
    lines.append(f"  {'trainable, full tuning':<28}{_short(numbers['trainable']['full']):>10}")
    return lines


def _memories(numbers: dict[str, Any]) -> list[str]:
    columns = ("weights", "gradients", "optimizer", "gathered", "activations", "total")
    lines = [
        "",
        "SFT memory per GPU in GB, with the fewest microbatches that leave a tenth of the memory free",
        f"  {'':<16}{'GPUs':>5}{'microbatches':>14}" + "".join(f"{name:>13}" for name in columns),
    ]

    # First adapters, then full tuning, each for all numbers of GPUs.
    for kind, label in (("lora", "adapters"), ("full", "full tuning")):
        for row in numbers["memory"][kind]:
            cells = "".join(f"{row[name] / _GB:>13.2f}" for name in columns)
            note = "" if row["fits"] else "   does not fit"
            lines.append(f"  {label:<16}{row['gpus']:>5}{row['microbatches']:>14}{cells}{note}")
    return lines


def _hours(numbers: dict[str, Any]) -> list[str]:
    lines = ["", "FLOPs and hours", f"  {'':<34}{'TFLOP each':>12}{'times':>7}{'hours':>9}"]
    names = {"sft": "SFT step", "grpo": "GRPO round", "evaluate": "report"}

    # The report costs the same for both, but stands in both sums.
    for kind, label in (("lora", "adapters"), ("full", "full tuning")):
        stages = numbers["stages"][kind]
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

    # The goal is about training alone; the report is shown beside it.
    training = stages["sft"]["hours"] + stages["grpo"]["hours"]

    # The paper's settings by the same count: it shows how far the count can be trusted.
    counted = paper["sft_hours"] + paper["grpo_hours"]
    met = "met" if training <= paper["goal_hours"] else "missed"

    return [
        "",
        f"  training a character: {training:.1f} GPU hours (goal: at most {paper['goal_hours']}, {met}), and "
        f"{stages['evaluate']['hours']:.1f} for its report",
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
    preset: str, *, character: str = "", mfu: float = 0.35, peak: float | None = None, as_json: bool = False
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
