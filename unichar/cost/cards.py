"""What fits on one GPU: microbatches of SFT and GRPO and the hours of a character, for four cards.

Shown by `python -m unichar plan` for BAGEL, for every way to load and train it that a preset could choose.
"""

from dataclasses import dataclass
from typing import Any

from unichar.cost.flops import Sizes, adapter_parameters
from unichar.cost.memory import (
    Loaded,
    Memory,
    fewest_microbatches,
    fits,
    grpo_memory,
    most_microbatches,
    sft_memory,
)
from unichar.cost.sizes import sizes_of
from unichar.cost.stages import stage_flops
from unichar.cost.workload import TextLengths
from unichar.presets import Preset
from unichar.types import Quantization

_GB = 1e9
"""Decimal gigabytes, as vendors state the memory of GPUs."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that hours are estimated for; figures are its vendor's."""

    name: str
    peak: float
    """Dense bf16 FLOP/s, sums in fp32."""
    memory: float
    """Bytes per device."""


H100 = Device(name="H100", peak=989e12, memory=80e9)
CARDS = (
    Device(name="RTX 4090", peak=165e12, memory=24e9),
    Device(name="L40S", peak=362e12, memory=48e9),
    H100,
    Device(name="H200", peak=989e12, memory=141e9),
)
"""One for each usual size of memory."""
_WAYS: tuple[tuple[Quantization, bool], ...] = (("nf4", False), ("", False), ("", True))
"""(weights, full tuning). Weights in 4 bits cannot be tuned."""
_SIZES = (512, 1024)


def loaded_model(
    preset: Preset, sizes: Sizes, parameters: dict[str, int], *, full: bool, quantize: Quantization
) -> Loaded:
    """The model of a preset as its training holds it."""
    return Loaded(
        sizes=sizes,
        parameters=sum(parameters.values()),
        autoencoder=parameters["autoencoder"],
        adapters=adapter_parameters(sizes, und_rank=preset.sft.und_rank, gen_rank=preset.sft.gen_rank),
        full=full,
        quantize=quantize,
    )


def fitted(
    preset: Preset, loaded: Loaded, texts: TextLengths, *, gpus: int, card: float
) -> dict[str, tuple[int, Memory]]:
    """Stage (`sft`, `grpo`) -> (fewest microbatches that fit, memory then), weights sharded over `gpus`."""

    def sft(microbatches: int) -> Memory:
        return sft_memory(loaded, texts, preset.sft, ranks=gpus, shards=gpus, microbatches=microbatches)

    def grpo(microbatches: int) -> Memory:
        return grpo_memory(loaded, texts, preset.grpo, ranks=gpus, shards=gpus, microbatches=microbatches)

    return {
        "sft": fewest_microbatches(sft, most=most_microbatches(preset.sft, gpus), card=card),
        "grpo": fewest_microbatches(grpo, most=most_microbatches(preset.grpo, gpus), card=card),
    }


def what_fits(preset: Preset, texts: TextLengths, *, mfu: float) -> list[dict[str, Any]]:
    """One row per size of pictures and way of training, each with one entry per card.

    An entry has `microbatches` (None where not even single pictures fit) and `peak` in bytes by stage, and
    the `hours` of a character, its report included, at `mfu` of the card's peak.
    """
    rows = []
    for size in _SIZES:
        sizes, parameters = sizes_of(preset.model, size)
        for quantize, full in _WAYS:
            loaded = loaded_model(preset, sizes, parameters, full=full, quantize=quantize)
            stages = stage_flops(preset, sizes, texts, full=full)
            flops = sum(each * count for each, count in stages.values())

            entries = []
            for card in CARDS:
                found = fitted(preset, loaded, texts, gpus=1, card=card.memory)
                entries.append(_entry(card, found) | {"hours": flops / (card.peak * mfu * 3600)})

            tuning = "full tuning" if full else "adapters"
            rows.append({"size": size, "weights": quantize or "bf16", "tuning": tuning, "cards": entries})
    return rows


def _entry(card: Device, found: dict[str, tuple[int, Memory]]) -> dict[str, Any]:
    microbatches, peak = {}, {}
    for stage, (number, memory) in found.items():
        microbatches[stage] = number if fits(memory, card.memory) else None
        peak[stage] = memory.total
    return {"card": card.name, "memory": card.memory, "microbatches": microbatches, "peak": peak}


def cards_table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines of the table: a column per card, `-` where a stage does not fit."""
    heads = [f"{entry['card']}, {entry['memory'] / _GB:.0f} GB" for entry in rows[0]["cards"]]
    lines = [
        "",
        "one GPU: microbatches of SFT / GRPO, and hours of a character with its report",
        f"  {'':<28}" + "".join(f"{head:>20}" for head in heads),
    ]

    for row in rows:
        cells = ""
        for entry in row["cards"]:
            numbers = list(entry["microbatches"].values())
            shown = " / ".join("-" if number is None else str(number) for number in numbers)

            # A character needs both stages.
            hours = "" if None in numbers else f", {entry['hours']:.1f} h"
            cells += f"{shown + hours:>20}"
        lines.append(f"  {row['size']:>4} px, {row['weights']}, {row['tuning']:<12}".ljust(30) + cells)
    return lines
