"""Character-GRPO on a real model: only pictures change, kills change nothing."""

import dataclasses
import random
import signal

import pytest
import torch
from factories_interactions import nia_the_photographer
from factories_learning import saved_step, wait_for_step
from factories_model import BASE, TINY, make_inputs, make_job, sketch, start_stage

from unichar.grpo.train import Trainer, run
from unichar.learning.curves import read_curve
from unichar.learning.state import load_tensors
from unichar.model.load import load_model
from unichar.model.lora import trainable
from unichar.model.nano.backbone import backbone_folder
from unichar.sft import train as sft

UND, GEN = (f"adapters/{side}/adapter_model.safetensors" for side in ("und", "gen"))


def test_only_the_picture_adapters_change(sft_job, grpo_job):
    assert (grpo_job.out / UND).read_bytes() == (sft_job.out / UND).read_bytes()
    before, after = (load_tensors(job.out / GEN)[0] for job in (sft_job, grpo_job))
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) and after[name].isfinite().all() for name in before)


def test_the_checkpoint_can_be_loaded_like_any_other(sft_job, grpo_job):
    before, after = (load_model(BASE, job.out / "adapters") for job in (sft_job, grpo_job))
    assert not torch.equal(sketch(before), sketch(after))


def test_every_round_is_on_the_curve_and_some_look_at_held_out_prompts(grpo_job):
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all({"loss", "policy", "kl", "reward", "identity", "alignment", "diversity"} <= row.keys() for row in rows)
    assert [row["step"] for row in rows if "held_out_reward" in row] == [0, 2]
    weights = TINY["grpo"]
    for row in rows:
        parts = (row["identity"], row["alignment"], row["diversity"])
        factors = (weights.identity_weight, weights.alignment_weight, weights.diversity_weight)
        assert row["reward"] == pytest.approx(sum(w * p for w, p in zip(factors, parts, strict=True)), rel=1e-4)


def test_the_summary_tells_first_from_last(sft_job, grpo_job, tmp_path):
    summary = run(dataclasses.replace(grpo_job, out=tmp_path))  # finished: nothing is trained again
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert (summary["reward_first"], summary["reward_last"]) == (rows[0]["reward"], rows[2]["reward"])
    assert summary["held_out_reward_first"] == rows[0]["held_out_reward"]
    assert summary["held_out_reward_last"] == rows[2]["held_out_reward"]
    assert summary["pictures"] == 3 * 2 * 2
    assert (tmp_path / GEN).read_bytes() == (grpo_job.out / GEN).read_bytes()


def test_a_killed_run_goes_on_to_the_very_same_adapters(grpo_job, tmp_path, monkeypatch):
    monkeypatch.setenv("UNICHAR_BACKBONE", str(backbone_folder()))
    eager = dataclasses.replace(TINY["grpo"], save_seconds=0.0)
    job = make_job("grpo", tmp_path, grpo_job.inputs, config=eager)
    process = start_stage("grpo", job, config="replace(TINY['grpo'], save_seconds=0.0)")
    wait_for_step(process, job.work / "state.safetensors", random.choice([1, 2]))
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert 1 <= saved_step(job.work / "state.safetensors") <= 3
    run(job)
    for name in (UND, GEN, "curve.jsonl"):
        assert (job.out / name).read_bytes() == (grpo_job.out / name).read_bytes(), name


def test_a_round_trains_nothing_but_the_picture_adapters(grpo_job, tmp_path):
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    learning = {f"gen.{name}" for name in trainable(model.gen)}
    trainer = Trainer(model, make_job("grpo", tmp_path, grpo_job.inputs))
    trainer.round(0)
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed and changed <= learning
    assert not trainable(model.und)
    sampled = trainer.old.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(sampled, trainable(model.gen).values(), strict=True))  # it follows at once
    kept = trainer.reference.state_dict().values()
    starts = [before[f"gen.{name}"] for name in trainable(model.gen)]
    assert all(torch.equal(a, b) for a, b in zip(kept, starts, strict=True))  # and the SFT model is kept to stay near


def test_photographs_are_reinforced_too(tmp_path):
    inputs = make_inputs(tmp_path / "nia", **nia_the_photographer())
    first = make_job("sft", tmp_path / "sft", inputs, config=dataclasses.replace(TINY["sft"], steps=1))
    sft.run(first)
    config = dataclasses.replace(TINY["grpo"], rounds=1)
    summary = run(make_job("grpo", tmp_path, inputs | {"sft_checkpoint": first.out}, config=config))
    assert 0 < summary["reward_first"] < 3 and 0 <= summary["held_out_reward_first"] < 3
