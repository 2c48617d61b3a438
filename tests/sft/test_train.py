"""Unified-SFT on a real model: the loss falls, and the base is left alone."""

import dataclasses

import pytest
import torch
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job, sketch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters
from unichar.sft.train import Trainer, run
from unichar.training.curves import read_curve
from unichar.training.state import load_tensors
from unichar.types import read_interactions

EAGER = dataclasses.replace(TINY["sft"], save_seconds=0.0)
ADAPTERS = [f"adapters/{side}/adapter_model.safetensors" for side in ("und", "gen")]


def trained_weights(out) -> list[dict[str, torch.Tensor]]:
    return [load_tensors(out / name)[0] for name in ADAPTERS]


def curve_of(out) -> list[dict[str, float]]:
    """The curve without what depends on the clock."""
    clock = {"tokens_per_second", "pictures_per_second", "peak_memory_mb"}
    return [
        {name: value for name, value in row.items() if name not in clock}
        for row in read_curve(out / "curve.jsonl")
    ]


def assert_same_product(out, other) -> None:
    for name in ADAPTERS:
        assert (out / name).read_bytes() == (other / name).read_bytes(), name
    assert curve_of(out) == curve_of(other)


def test_a_run_writes_adapters_and_a_curve(sft_job):
    written = {path.relative_to(sft_job.out).as_posix() for path in sft_job.out.rglob("*") if path.is_file()}
    configs = [name.replace("adapter_model.safetensors", "adapter_config.json") for name in ADAPTERS]
    curves = {"curve.jsonl", "tensorboard/000.tfevents"}
    assert written == {*ADAPTERS, *configs, "adapters/base.json", *curves, "summary.json"}
    rows = read_curve(sft_job.out / "curve.jsonl")
    assert [row["step"] for row in rows] == [2]
    sides = {"loss", "ce", "mse", "mse_portraits", "mse_prior", "lr_und", "lr_gen", "peak_memory_mb"}
    assert sides <= rows[0].keys() and any(name.startswith("ce_") for name in rows[0])
    assert rows[0]["lr_gen"] / rows[0]["lr_und"] == pytest.approx(TINY["sft"].gen_lr / TINY["sft"].und_lr)


def test_tensorboard_reads_the_curve(sft_job):
    accumulator = EventAccumulator(str(sft_job.out / "tensorboard")).Reload()
    (row,) = read_curve(sft_job.out / "curve.jsonl")
    assert {*accumulator.Tags()["scalars"], "step"} == row.keys()
    (event,) = accumulator.Scalars("loss")
    assert (event.step, event.value) == (2, pytest.approx(row["loss"]))


def test_both_sides_are_trained(sft_job):
    for tensors in trained_weights(sft_job.out):
        assert all(tensor.isfinite().all() for tensor in tensors.values())
        fresh = [name for name, tensor in tensors.items() if "lora_B" in name and not tensor.any()]
        assert not fresh


def test_the_model_after_is_not_the_model_before(sft_job, model):
    tuned = load_model(BASE, sft_job.out / "adapters")
    assert not torch.equal(sketch(tuned), sketch(model))


def test_the_summary_counts_items_pictures_and_tokens(sft_job, tmp_path):
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
def test_one_side_alone_gets_the_same_adapters_as_together(sft_job, tmp_path, left_out, side):
    job = make_job("sft", tmp_path, sft_job.inputs, config=dataclasses.replace(TINY["sft"], **left_out))
    summary = run(job)
    assert ("ce" in summary, "mse" in summary) == ((True, False) if side == "und" else (False, True))
    name = f"adapters/{side}/adapter_model.safetensors"
    assert (job.out / name).read_bytes() == (sft_job.out / name).read_bytes()


def test_a_finished_run_that_was_not_published_only_writes_its_product(sft_job, tmp_path):
    job = dataclasses.replace(sft_job, out=tmp_path)
    run(job)
    assert_same_product(tmp_path, sft_job.out)


def test_the_state_of_another_run_is_refused(sft_job, tmp_path):
    with pytest.raises(ValueError, match=r"state\.safetensors was saved by another run: seed 0, now 1\."):
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


def test_training_lowers_the_loss_of_the_characters_replies(sft_job, model):
    train = read_interactions(sft_job.inputs["interactions"] / "train.jsonl")
    chats = [item.segments for item in train if item.kind == "role_play"][:4]
    folder, tuned = sft_job.inputs["curated_kit"], load_model(BASE, sft_job.out / "adapters")
    with torch.no_grad():
        before, after = (torch.cat(m.text_losses(chats, folder)).mean() for m in (model, tuned))
    assert after < before - 0.03


@pytest.mark.parametrize(("prior", "prior_pictures"), [("rendered", 0), ("base", 2)])
def test_photographs_are_not_trained_with_rendered_prior_images(tmp_path, prior, prior_pictures):
    inputs = make_inputs(tmp_path / "nia", **nia_the_photographer())
    config = dataclasses.replace(TINY["sft"], steps=1, prior=prior, prior_sample_steps=2)
    job = make_job("sft", tmp_path, inputs, config=config)
    summary = run(job)
    assert summary["noised_pictures"] == 4 + prior_pictures
    assert ("mse_prior" in read_curve(job.out / "curve.jsonl")[0]) == bool(prior_pictures)


def test_without_prior_preservation(inputs, tmp_path):
    config = dataclasses.replace(TINY["sft"], steps=1, prior_pictures=0, prior_pool=0)
    assert run(make_job("sft", tmp_path, inputs, config=config))["noised_pictures"] == 4


@pytest.mark.parametrize("wrong", [{"tracker": "paper"}, {"tracker": "wandb"}])
def test_a_tracker_that_is_not_there_is_named_before_training(inputs, tmp_path, wrong):
    with pytest.raises(ValueError, match=r"tracker '?(paper|wandb)"):
        run(make_job("sft", tmp_path, inputs, config=dataclasses.replace(TINY["sft"], **wrong)))
    assert not list((tmp_path / "scratch").iterdir())
