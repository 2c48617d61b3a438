"""The line's own trainers on a tiny BAGEL: nothing in them knows which model they train."""

import pytest
import torch
from factories_bagel import make_bagel
from factories_config import replaced
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job

from unichar.grpo import train as grpo
from unichar.model.load import load_model
from unichar.sft import train as sft
from unichar.training.state import load_tensors

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(job of a finished SFT, its summary) on photographs, with a BAGEL as base."""
    folder = tmp_path_factory.mktemp("nia")
    inputs = make_inputs(folder, **nia_the_photographer())
    job = make_job("sft", folder / "sft", inputs, base=make_bagel(folder / "bagel"), character="nia")
    return job, sft.run(job)


def test_supervised(trained):
    job, summary = trained
    assert 0 < summary["mse"] < 10 and 0 < summary["ce"] < 20
    tuned = load_model(job.base, job.out / "adapters")
    assert all(parameter.any() for name, parameter in tuned.gen.named_parameters() if "lora_B" in name)
    assert all(parameter.any() for name, parameter in tuned.und.named_parameters() if "lora_B" in name)


def test_the_error_on_pictures_trains_the_text_adapters_through_the_prompt(trained, tmp_path):
    """Without a single conversation; nano reads prompts without its text adapters, so there nothing moves."""
    first, _ = trained
    for base, moves in ((first.base, True), (BASE, False)):
        config = replaced(TINY["sft"], steps=1, conversations=0, tracker="")
        folder = tmp_path / base.name
        sft.run(make_job("sft", folder, first.inputs, base=base, character="nia", config=config))
        tensors, _ = load_tensors(folder / "out" / "adapters" / "und" / "adapter_model.safetensors")
        # Pictures read keys and values, so of the last layer nothing else is reached.
        moved = {name for name, tensor in tensors.items() if "lora_B" in name and tensor.any()}
        assert {name.split(".")[-3] for name in moved} == (set(LAYERS) if moves else set())


def test_reinforced_pictures_leave_no_gradient_on_the_text_expert(trained, tmp_path, monkeypatch):
    job, _ = trained
    monkeypatch.setenv("UNICHAR_JUDGES", str(BASE))
    config = replaced(TINY["grpo"], epochs=1, tracker="")
    model = load_model(job.base, job.out / "adapters", trainable=True)
    trainer = grpo.Trainer(
        model, make_job("grpo", tmp_path, job.inputs, base=job.base, character="nia", config=config)
    )
    assert trainer.text and trainer.rl_step(0)["gradient"] > 0
    assert not any(parameter.requires_grad for parameter in model.und.parameters())
    assert all(parameter.grad is None for parameter in model.und.parameters())


@pytest.mark.parametrize("algorithm", ["nft", "flow_grpo"])
def test_reinforced_the_same_at_once_and_in_parts(algorithm, trained, tmp_path, monkeypatch):
    job, _ = trained
    monkeypatch.setenv("UNICHAR_JUDGES", str(BASE))  # the report's encoder is no part of BAGEL
    inputs, found = job.inputs | {"sft_checkpoint": job.out}, []
    for parts in (1, 3):
        config = replaced(
            TINY["grpo"],
            rounds=1,
            algorithm=algorithm,
            lr=1e-4,
            flow_grpo={"window": 1, "clip_range": 0.1},
            rollout={"microbatches": parts},
        )
        folder = tmp_path / str(parts)
        summary = grpo.run(make_job("grpo", folder, inputs, base=job.base, character="nia", config=config))
        assert (summary["pictures"], summary["optimizer_steps"]) == (4, 2)
        found.append(load_tensors(folder / "out" / "adapters" / "gen" / "adapter_model.safetensors")[0])
    start, _ = load_tensors(job.out / "adapters" / "gen" / "adapter_model.safetensors")
    assert all(not torch.equal(tensor, start[name]) for name, tensor in found[0].items())
    assert all((tensor - found[1][name]).abs().max() <= 2e-5 for name, tensor in found[0].items())
