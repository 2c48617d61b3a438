"""The line's own trainers on a tiny BAGEL: nothing in them knows which model they train."""

from dataclasses import replace

import pytest
from factories_bagel import make_bagel
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job

from unichar.grpo import train as grpo
from unichar.model.load import load_model
from unichar.sft import train as sft


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


def test_reinforced(trained, tmp_path, monkeypatch):
    job, _ = trained
    monkeypatch.setenv("UNICHAR_JUDGES", str(BASE))  # the report's eye is no part of BAGEL
    config = replace(TINY["grpo"], rounds=1)
    inputs = job.inputs | {"sft_checkpoint": job.out}
    summary = grpo.run(make_job("grpo", tmp_path, inputs, base=job.base, character="nia", config=config))
    assert summary["pictures"] == 4
    assert (tmp_path / "out" / "adapters" / "gen" / "adapter_model.safetensors").exists()
