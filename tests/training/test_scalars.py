"""Losses are added up where they are and read once a step."""

import pytest
import torch
from factories_small import small_job, small_model

from unichar.sft.loss import LossAccumulator
from unichar.sft.train import Trainer
from unichar.training.scalars import add_scalar, read_scalars

READS = ("item", "tolist", "__float__", "__int__", "__bool__")
"""What makes Python wait for a GPU."""


def test_sums_are_exact_and_missing_names_are_0():
    sums: dict[str, torch.Tensor] = {}
    for value in (1.0, 2.0**-30):
        add_scalar(sums, "loss", torch.tensor(value, requires_grad=True))
    assert read_scalars(sums, ["kl", "loss"]) == [0.0, 1.0 + 2.0**-30]
    assert not sums["loss"].requires_grad and read_scalars({}, ["loss"]) == [0.0]


def test_sums_on_the_cpu_and_on_a_gpu_are_read_together(monkeypatch):
    """As BAGEL's are: losses of texts on the CPU, of pictures on the GPU, which stands in as `meta`."""
    sums: dict[str, torch.Tensor] = {}
    add_scalar(sums, "ce_role_play", torch.tensor(1.0))
    add_scalar(sums, "mse_portraits", torch.tensor(1.0, device="meta"))

    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: [tensor.device.type] * len(tensor))
    assert read_scalars(sums, ["ce_role_play", "mse_portraits", "mse_prior"]) == ["meta"] * 3


def test_the_passes_of_a_step_read_nothing(small_base, inputs, tmp_path, monkeypatch):
    trainer = Trainer(small_model(small_base), small_job(tmp_path, small_base, inputs, microbatches=4))
    accumulator, read = LossAccumulator(), []

    # Reading a prompt for the first time waits inside transformers; its context is kept.
    trainer._backward_pictures(0, LossAccumulator())

    def recorded(name):
        kept = getattr(torch.Tensor, name)
        return lambda tensor, *arguments: read.append(name) or kept(tensor, *arguments)

    with monkeypatch.context() as patched:
        for name in READS:
            patched.setattr(torch.Tensor, name, recorded(name))
        trainer._backward_pictures(0, accumulator)
        assert read == []
        trainer._losses(accumulator)
    assert read == ["tolist"]
    assert accumulator.counts["mse_portraits"] == pytest.approx(8)
