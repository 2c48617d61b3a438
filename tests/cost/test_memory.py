"""Memory per GPU: sharding, microbatches, activation checkpointing."""

from dataclasses import replace

import pytest

from unichar.cost.memory import Memory, fewest_microbatches, sft_memory
from unichar.cost.sizes import bagel_sizes
from unichar.cost.workload import ROLESCAPE
from unichar.presets import bagel

SIZES, CONFIG = bagel_sizes(1024), bagel().sft
MODEL = {"parameters": 14_000_000_000, "trainable": 200_000_000, "full": False}


def memory(*, gpus: int = 1, microbatches: int = 1, **changes: object) -> Memory:
    return sft_memory(SIZES, ROLESCAPE, CONFIG, gpus=gpus, microbatches=microbatches, **MODEL | changes)


def test_the_total_is_the_sum_of_the_parts():
    made = memory(gpus=4)
    parts = made.weights + made.gradients + made.optimizer + made.gathered + made.activations
    assert made.total == pytest.approx(parts)


def test_sharding_divides_all_but_gathered_layers():
    one, four = memory(), memory(gpus=4)
    assert one.weights == 4 * four.weights and one.optimizer == 4 * four.optimizer
    assert one.gathered == 0 < four.gathered


def test_adapters_keep_frozen_weights_in_bf16():
    assert memory().weights == 2 * 14e9 + 4 * 200e6
    assert memory(trainable=14_000_000_000, full=True).weights == 4 * 14e9


def test_the_fewest_microbatches_that_fit():
    limits = {"gpus": 1, **MODEL}
    needed = memory(microbatches=2).total
    microbatches, fitting = fewest_microbatches(SIZES, ROLESCAPE, CONFIG, limit=needed, **limits)
    assert microbatches <= 2 and fitting.total <= needed
    most, too_large = fewest_microbatches(SIZES, ROLESCAPE, CONFIG, limit=1.0, **limits)
    assert most == max(CONFIG.pictures, CONFIG.conversations) and too_large.total > 1.0


def test_checkpointing_saves_activations():
    kept = replace(SIZES, recompute=False)
    config = replace(CONFIG, checkpointing=False)
    plain = sft_memory(kept, ROLESCAPE, config, gpus=1, microbatches=1, **MODEL)
    assert plain.activations > 3 * memory().activations
