"""SFT and GRPO on a tiny BAGEL in bf16, and in bf16 on frozen weights in 4 bits, against fp32.

Prints the table of docs/bagel.md: `python -m pytest -q -s tests/model/bagel/test_precision.py`.
"""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_config import replaced
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job

from unichar.grpo import train as grpo
from unichar.model.bagel.weights import load_bagel
from unichar.sft import train as sft
from unichar.types import LoadConfig, Quantization

STEPS = 30
WAYS: dict[str, tuple[Quantization, torch.dtype]] = {
    "fp32": ("", torch.float32),
    "bf16": ("", torch.bfloat16),
    "NF4 and bf16": ("nf4", torch.bfloat16),
}
BOUNDS = {"bf16": 0.01, "NF4 and bf16": 0.05}
"""Largest relative difference to fp32 of any figure of the table."""


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dict[str, dict[str, float]]:
    """Way -> losses before and after SFT, reward and losses of a round of GRPO; the same data and seeds."""
    folder = tmp_path_factory.mktemp("nia")
    inputs = make_inputs(folder, **nia_the_photographer())
    base = make_bagel(folder / "bagel", intermediate_size=128)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNICHAR_JUDGES", str(BASE))  # the report's encoder is no part of BAGEL
        rows = {}
        for way, (quantize, dtype) in WAYS.items():
            patch.setattr("unichar.model.load.load_bagel", partial(load_bagel, dtype=dtype))
            rows[way] = train(folder / way, inputs, base, LoadConfig(quantize=quantize))

    print("\n| |", " | ".join(rows["fp32"]), "|")
    for way, row in rows.items():
        print(f"| {way} |", " | ".join(f"{value:.3f}" for value in row.values()), "|")
    return rows


def train(folder: Path, inputs: dict[str, Path], base: Path, load: LoadConfig) -> dict[str, float]:
    config = replaced(TINY["sft"], steps=STEPS, und_lr=5e-3, gen_lr=5e-3)
    tuned = make_job("sft", folder / "sft", inputs, base=base, character="nia", config=config, load=load)
    after = sft.run(tuned)
    before = json.loads((tuned.out / "curve.jsonl").read_text().splitlines()[0])

    config = replaced(TINY["grpo"], rounds=1, lr=1e-3)
    inputs = inputs | {"sft_checkpoint": tuned.out}
    job = make_job("grpo", folder / "grpo", inputs, base=base, character="nia", config=config, load=load)
    reinforced = grpo.run(job)
    learned = json.loads((job.out / "curve.jsonl").read_text().splitlines()[-1])
    return {
        "cross-entropy, first steps": before["ce"],
        "last steps": after["ce"],
        "error of velocities, first steps": before["mse"],
        "last steps ": after["mse"],
        "reward": reinforced["reward_last"],
        "loss of a round": learned["loss"],
    }


def test_training_in_fewer_bits_ends_where_fp32_does(table):
    exact = table["fp32"]
    assert exact["last steps"] < 0.97 * exact["cross-entropy, first steps"]
    assert exact["last steps "] < 0.9 * exact["error of velocities, first steps"]
    for way, bound in BOUNDS.items():
        for name, value in table[way].items():
            assert value == pytest.approx(exact[name], rel=bound), f"{way}: {name}"


def test_4_bits_were_trained_on_and_not_only_asked_for(table):
    name = "error of velocities, first steps"
    distances = {way: abs(row[name] - table["fp32"][name]) for way, row in table.items()}
    assert distances["NF4 and bf16"] > 3 * distances["bf16"]
