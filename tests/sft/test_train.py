"""Unified-SFT on a real model: it learns, it survives kills, and it leaves the base alone."""

import dataclasses
import random
import signal

import pytest
import torch
from factories_interactions import nia_the_photographer
from factories_learning import saved_step, wait_for_step
from factories_model import BASE, TINY, make_inputs, make_job, sketch, start_stage

from unichar.learning.curves import read_curve
from unichar.learning.state import load_tensors
from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters
from unichar.model.nano.backbone import backbone_folder
from unichar.records import read_interactions
from unichar.sft.train import Trainer, run

EAGER = dataclasses.replace(TINY["sft"], save_seconds=0.0)
ADAPTERS = [f"adapters/{side}/adapter_model.safetensors" for side in ("und", "gen")]


def trained_weights(out) -> list[dict[str, torch.Tensor]]:
    return [load_tensors(out / name)[0] for name in ADAPTERS]


def test_a_run_writes_adapters_and_a_curve(sft_job):
    written = {path.relative_to(sft_job.out).as_posix() for path in sft_job.out.rglob("*") if path.is_file()}
    configs = [name.replace("adapter_model.safetensors", "adapter_config.json") for name in ADAPTERS]
    assert written == {*ADAPTERS, *configs, "adapters/base.json", "curve.jsonl", "summary.json"}
    rows = read_curve(sft_job.out / "curve.jsonl")
    assert [row["step"] for row in rows] == [2]
    assert rows[0].keys() == {"step", "loss", "ce", "mse", "lr_factor"}


def test_both_sides_were_trained(sft_job):
    for tensors in trained_weights(sft_job.out):
        assert all(tensor.isfinite().all() for tensor in tensors.values())
        fresh = [name for name, tensor in tensors.items() if "lora_B" in name and not tensor.any()]
        assert not fresh


def test_the_model_after_is_not_the_model_before(sft_job, model):
    tuned = load_model(BASE, sft_job.out / "adapters")
    assert not torch.equal(sketch(tuned), sketch(model))


def test_the_summary_counts_what_was_learned_from(sft_job, tmp_path):
    job = make_job("sft", tmp_path, sft_job.inputs, config=dataclasses.replace(TINY["sft"], steps=1))
    summary = run(job)
    train = read_interactions(job.inputs["interactions"] / "train.jsonl")
    assert summary["num_portraits"] == len([item for item in train if item.kind == "portrait"])
    assert summary["num_conversations"] == len(train) - summary["num_portraits"]
    assert summary["noised_pictures"] == 4 + 2
    assert summary["target_tokens"] > 4
    assert 0 < summary["ce"] < 12 and 0 < summary["mse"] < 5
    assert "training_seconds" in summary


@pytest.mark.parametrize(("left_out", "side"), [({"pictures": 0}, "und"), ({"conversations": 0}, "gen")])
def test_one_side_alone_learns_what_it_learns_in_company(sft_job, tmp_path, left_out, side):
    job = make_job("sft", tmp_path, sft_job.inputs, config=dataclasses.replace(TINY["sft"], **left_out))
    summary = run(job)
    assert ("ce" in summary, "mse" in summary) == ((True, False) if side == "und" else (False, True))
    name = f"adapters/{side}/adapter_model.safetensors"
    assert (job.out / name).read_bytes() == (sft_job.out / name).read_bytes()


def test_a_killed_run_goes_on_to_the_very_same_adapters(sft_job, tmp_path, monkeypatch):
    monkeypatch.setenv("UNICHAR_BACKBONE", str(backbone_folder()))
    job = make_job("sft", tmp_path, sft_job.inputs, config=EAGER)
    process = start_stage("sft", job, config="replace(TINY['sft'], save_seconds=0.0)")
    wait_for_step(process, job.work / "state.safetensors", random.choice([1, 2]))
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert 1 <= saved_step(job.work / "state.safetensors") <= 3
    summary = run(job)
    for name in [*ADAPTERS, "curve.jsonl"]:
        assert (job.out / name).read_bytes() == (sft_job.out / name).read_bytes(), name
    assert summary["target_tokens"] == int(load_tensors(sft_job.work / "state.safetensors")[0]["seen.tokens"])


def test_a_finished_run_that_was_not_published_only_writes_its_product(sft_job, tmp_path):
    job = dataclasses.replace(sft_job, out=tmp_path)
    run(job)
    for name in [*ADAPTERS, "curve.jsonl"]:
        assert (tmp_path / name).read_bytes() == (sft_job.out / name).read_bytes(), name


def test_work_of_other_settings_is_refused(sft_job, tmp_path):
    with pytest.raises(ValueError, match=r"state\.safetensors was saved by another configuration"):
        run(dataclasses.replace(sft_job, out=tmp_path, seed=1))


def test_the_base_is_left_alone(inputs, tmp_path):
    model = load_model(BASE)
    add_adapters(model, und=LoraSettings(rank=4, alpha=8), gen=LoraSettings(rank=4, alpha=8), seed=0)
    frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    trainer = Trainer(model, make_job("sft", tmp_path, inputs))
    numbers = trainer.step(0)
    assert numbers["loss"] == pytest.approx(0.25 * numbers["ce"] + numbers["mse"], rel=1e-4)
    after = dict(model.named_parameters())
    assert all(torch.equal(after[name], tensor) for name, tensor in frozen.items())
    assert any(not torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(parameter.grad is None for parameter in after.values())


def test_training_makes_the_characters_words_likelier(sft_job, model):
    train = read_interactions(sft_job.inputs["interactions"] / "train.jsonl")
    chats = [item.segments for item in train if item.kind == "role_play"][:4]
    folder, tuned = sft_job.inputs["curated_kit"], load_model(BASE, sft_job.out / "adapters")
    with torch.no_grad():
        before, after = (torch.cat(m.text_losses(chats, folder)).mean() for m in (model, tuned))
    assert after < before - 0.03


def test_a_kit_without_strangers_or_toons_trains_too(tmp_path):
    inputs = make_inputs(tmp_path / "nia", **nia_the_photographer())
    config = dataclasses.replace(TINY["sft"], steps=1, prior_pictures=0, prior_pool=0)
    summary = run(make_job("sft", tmp_path, inputs, config=config))
    assert summary["noised_pictures"] == 4
