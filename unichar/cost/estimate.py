"""What a preset will cost before anything runs: parameters, memory a GPU, operations, hours.

    python -m unichar plan --preset bagel
    python -m unichar plan --preset bagel --character mochi --mfu 0.4 --json

Nothing is loaded but shapes; no GPU and no weights are needed. Operations are counted by `unichar/cost/flops.py`; hours follow
from a stated share of the device's peak (MFU). Text lengths are those of a RoleScape-20 character for BAGEL and of a starter
for nano, or of `--character`, once its interactions are made.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from unichar.cost.flops import Sizes, adapter_parameters
from unichar.cost.grpo import round_flops
from unichar.cost.memory import fewest_parts
from unichar.cost.paper import paper_flops
from unichar.cost.report import report_flops
from unichar.cost.sft import step_flops
from unichar.cost.sizes import sizes_of
from unichar.cost.workload import ROLESCAPE, TOON, Texts, measured_texts
from unichar.evaluation.evaluate import ARMS
from unichar.presets import Preset, get_preset
from unichar.store.store import Store
from unichar.types import read_interactions

PAPER_HOURS = 100
"""GPU hours a character, as the paper says."""
GOAL_HOURS = 10
_GB = 1e9
GPUS = (1, 4, 8)


@dataclass(frozen=True, kw_only=True)
class Device:
    """What the hours are for."""

    name: str
    peak: float
    """Operations a second of dense bf16."""
    memory: float
    """Bytes."""


H100 = Device(name="H100 (bf16, dense)", peak=989e12, memory=80e9)
TWO_CORES = Device(name="two cores with AVX-512 BF16", peak=0.9e12, memory=8e9)


def plan(preset: Preset, texts: Texts, *, mfu: float, device: Device) -> dict[str, Any]:
    """Everything the table shows, as plain numbers (bytes, operations, hours).

    Raises:
        ValueError: `mfu` or the device's peak makes no sense.
    """
    if not 0 < mfu <= 1 or device.peak <= 0:
        raise ValueError(
            f"mfu is {mfu} and the peak {device.peak:g} operations a second; expected 0 < mfu <= 1 and a positive peak"
        )
    sizes, parameters = sizes_of(preset.model, preset.kit.size)
    adapters = adapter_parameters(sizes, und_rank=preset.sft.und_rank, gen_rank=preset.sft.gen_rank)
    trainable = {"lora": sum(adapters.values()), "full": sum(parameters.values()) - parameters["autoencoder"]}
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
        "memory": {
            kind: _memory(preset, sizes, texts, parameters, trainable, kind, device) for kind in trainable
        },
        "stages": {kind: _stages(preset, sizes, texts, kind == "full", hour) for kind in trainable},
        "paper": _paper(sizes_of("bagel", 1024)[0], texts, hour) if preset.model == "bagel" else None,
    }


def _memory(
    preset: Preset,
    sizes: Sizes,
    texts: Texts,
    parameters: dict[str, int],
    trainable: dict[str, int],
    kind: str,
    device: Device,
) -> list[dict[str, Any]]:
    rows = []
    for gpus in GPUS if preset.model == "bagel" else (1,):
        parts, memory = fewest_parts(
            sizes,
            texts,
            preset.sft,
            parameters=sum(parameters.values()),
            trainable=trainable[kind],
            full=kind == "full",
            gpus=gpus,
            limit=0.9 * device.memory,
        )
        fits = memory.total <= 0.9 * device.memory
        rows.append({"gpus": gpus, "parts": parts, **asdict(memory), "total": memory.total, "fits": fits})
    return rows


def _stages(
    preset: Preset, sizes: Sizes, texts: Texts, full: bool, hour: float
) -> dict[str, dict[str, float]]:
    sft, grpo = preset.sft, preset.grpo
    each = {
        "sft": (step_flops(sizes, texts, sft, full=full), sft.steps),
        "grpo": (round_flops(sizes, texts, grpo, gen_rank=sft.gen_rank, full=full), grpo.rounds),
        "evaluate": (report_flops(sizes, texts, preset.evaluation, arms=len(ARMS)), 1),
    }
    return {
        name: {"flops": one, "count": count, "hours": one * count / hour}
        for name, (one, count) in each.items()
    }


def _paper(sizes: Sizes, texts: Texts, hour: float) -> dict[str, float]:
    sft, grpo = (flops / hour for flops in paper_flops(sizes, texts))
    return {"stated_hours": PAPER_HOURS, "goal_hours": GOAL_HOURS, "sft_hours": sft, "grpo_hours": grpo}


def table(numbers: dict[str, Any]) -> str:
    """The plan for people, as plain text."""
    return "\n".join([*_heading(numbers), *_parameters(numbers), *_memories(numbers), *_hours(numbers)])


def _heading(numbers: dict[str, Any]) -> list[str]:
    tokens = numbers["tokens"]
    return [
        f"preset {numbers['preset']}: {numbers['model']} on {numbers['device']}, {numbers['peak_flops'] / 1e12:.4g} TFLOP/s "
        f"at an MFU of {numbers['mfu']:.2f}",
        f"a drawn picture has {tokens['picture']} tokens, a seen one {tokens['seen_picture']}, a prompt {tokens['prompt']}",
    ]


def _parameters(numbers: dict[str, Any]) -> list[str]:
    lines = ["", "parameters"]
    lines += [f"  {name:<28}{_many(count):>10}" for name, count in numbers["parameters"].items()]
    adapters = numbers["adapters"]
    words = f"  (text {_many(adapters['und'])}, pictures {_many(adapters['gen'])})"
    lines.append(f"  {'trainable, adapters':<28}{_many(numbers['trainable']['lora']):>10}{words}")
    lines.append(f"  {'trainable, full tuning':<28}{_many(numbers['trainable']['full']):>10}")
    return lines


def _memories(numbers: dict[str, Any]) -> list[str]:
    columns = ("weights", "gradients", "optimizer", "gathered", "activations", "total")
    lines = [
        "",
        "SFT memory a GPU, GB, a step read in the fewest parts that leave a tenth of the memory free",
    ]
    lines.append(f"  {'':<16}{'GPUs':>5}{'parts':>6}" + "".join(f"{name:>13}" for name in columns))
    for kind, words in (("lora", "adapters"), ("full", "full tuning")):
        for row in numbers["memory"][kind]:
            cells = "".join(f"{row[name] / _GB:>13.2f}" for name in columns)
            note = "" if row["fits"] else "   does not fit"
            lines.append(f"  {words:<16}{row['gpus']:>5}{row['parts']:>6}{cells}{note}")
    return lines


def _hours(numbers: dict[str, Any]) -> list[str]:
    lines = ["", "operations and hours", f"  {'':<34}{'TFLOP each':>12}{'times':>7}{'hours':>9}"]
    names = {"sft": "SFT step", "grpo": "GRPO round", "evaluate": "report"}
    for kind, words in (("lora", "adapters"), ("full", "full tuning")):
        stages = numbers["stages"][kind]
        for stage, row in stages.items():
            name = f"{names[stage]}, {words}" if stage != "evaluate" else names[stage]
            lines.append(f"  {name:<34}{row['flops'] / 1e12:>12,.4g}{row['count']:>7}{_few(row['hours']):>9}")
        lines.append(
            f"  {f'a character, {words}':<34}{'':>12}{'':>7}{_few(sum(row['hours'] for row in stages.values())):>9}"
        )
    if numbers["paper"]:
        lines += _beside_the_paper(numbers)
    return lines


def _beside_the_paper(numbers: dict[str, Any]) -> list[str]:
    own, stages = numbers["paper"], numbers["stages"]["lora"]
    training = stages["sft"]["hours"] + stages["grpo"]["hours"]
    counted = own["sft_hours"] + own["grpo_hours"]
    met = "met" if training <= own["goal_hours"] else "missed"
    return [
        "",
        f"  training a character: {training:.1f} GPU hours (goal: at most {own['goal_hours']}, {met}), and "
        f"{stages['evaluate']['hours']:.1f} for its report",
        f"  the paper says about {own['stated_hours']} GPU hours; its settings counted the same way make {counted:.0f} "
        f"({own['sft_hours']:.1f} SFT, {own['grpo_hours']:.1f} GRPO)",
    ]


def _few(hours: float) -> str:
    return f"{hours:.2f}" if hours >= 1 else f"{hours:.3f}"


def _many(count: float) -> str:
    for name, size in (("B", 1e9), ("M", 1e6)):
        if count >= size:
            return f"{count / size:.2f} {name}"
    return f"{count:.0f}"


def main(
    preset: str, *, character: str = "", mfu: float = 0.35, peak: float | None = None, as_json: bool = False
) -> None:
    """Print the plan of a preset.

    Args:
        character: Take the lengths of this character's current interactions.
        peak: TFLOP/s of the device instead of the usual one's.

    Raises:
        ValueError: There is no such preset, or a number makes no sense.
        MissingOutput: The character has no interactions yet.
    """
    chosen = get_preset(preset)
    usual = H100 if chosen.model == "bagel" else TWO_CORES
    device = usual if peak is None else Device(name="a device", peak=peak * 1e12, memory=usual.memory)
    texts = ROLESCAPE if chosen.model == "bagel" else TOON
    if character:
        folder = Store.from_env().current(character, "interactions").folder
        texts = measured_texts(read_interactions(folder / "train.jsonl"))
    numbers = plan(chosen, texts, mfu=mfu, device=device)
    print(json.dumps(numbers, indent=2) if as_json else table(numbers))
