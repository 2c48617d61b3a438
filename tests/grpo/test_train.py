"""Character-GRPO on a real model: only picture adapters change, and kills change nothing."""

import dataclasses
import random
import signal

import pytest
import torch
from factories_config import replaced
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job, sketch, start_stage
from factories_training import saved_step, wait_for_step

from unichar.grpo.train import Trainer, run
from unichar.judges.scorers import Scorers
from unichar.model.load import load_model
from unichar.model.lora import trainable
from unichar.model.nano.backbone import backbone_folder
from unichar.sft import train as sft
from unichar.training.curves import read_curve
from unichar.training.loop import STOPPED
from unichar.training.state import load_tensors

TERMS = ("identity", "alignment", "diversity", "naturalness")
UND, GEN = (f"adapters/{side}/adapter_model.safetensors" for side in ("und", "gen"))


def trainer_of(grpo_job, folder, **settings) -> Trainer:
    """A trainer on the SFT model with text adapters frozen; `settings` replace those of `TINY`."""
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    config = replaced(TINY["grpo"], **settings)
    return Trainer(model, make_job("grpo", folder, grpo_job.inputs, config=config))


def without_clock(row: dict[str, float]) -> dict[str, float]:
    """A row of the curve without what depends on the machine."""
    return {
        name: value for name, value in row.items() if name not in ("pictures_per_second", "peak_memory_mb")
    }


def assert_same_run(job, other) -> None:
    """Adapters, curve and the whole training state are bit-identical."""
    for name in (UND, GEN):
        assert (job.out / name).read_bytes() == (other.out / name).read_bytes(), name
    ours, theirs = (
        [without_clock(row) for row in read_curve(each.out / "curve.jsonl")] for each in (job, other)
    )
    assert ours == theirs

    tensors, twins = (load_tensors(each.scratch / "state.safetensors")[0] for each in (job, other))
    assert tensors.keys() == twins.keys() and all(torch.equal(tensors[name], twins[name]) for name in tensors)
    assert {"progress.steps", "progress.best_score", "progress.start_identity"} < tensors.keys()
    assert any(name.startswith("best.") for name in tensors)


def test_only_the_picture_adapters_change(sft_job, grpo_job):
    assert (grpo_job.out / UND).read_bytes() == (sft_job.out / UND).read_bytes()
    before, after = (load_tensors(job.out / GEN)[0] for job in (sft_job, grpo_job))
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) and after[name].isfinite().all() for name in before)


def test_the_checkpoint_can_be_loaded_like_any_other(sft_job, grpo_job):
    before, after = (load_model(BASE, job.out / "adapters") for job in (sft_job, grpo_job))
    assert not torch.equal(sketch(before), sketch(after))


def test_every_round_is_on_the_curve_and_some_have_validation_numbers(grpo_job):
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert all({"loss", "policy", "kl", "reward", *TERMS} <= row.keys() for row in rows)

    # Before training (in the first row), after two rounds, and at the end.
    assert [row["step"] for row in rows if "held_out_reward" in row] == [0, 1, 2]
    for row in rows:
        terms = [row[name] * getattr(TINY["grpo"].reward, f"{name}_weight") for name in TERMS]
        assert row["reward"] == pytest.approx(sum(terms), rel=1e-4)
        assert row["reward_min"] <= row["reward"] <= row["reward_max"] and row["reward_std"] >= 0
        assert row["skipped_groups"] == 0 and -5 <= row["advantage_min"] <= 0 <= row["advantage_max"] <= 5


def test_speed_and_memory_are_on_the_curve_and_in_the_tracker(grpo_job):
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert all(row["peak_memory_mb"] > 100 for row in rows)
    assert all(row["pictures_per_second"] > 0 for row in rows[1:])
    assert [path.name for path in (grpo_job.out / "tensorboard").iterdir()] == ["000.tfevents"]


def test_validation_prompts_are_scored_by_another_network_too(grpo_job):
    rows = [row for row in read_curve(grpo_job.out / "curve.jsonl") if "held_out_reward" in row]
    names = {f"evaluator_{name}" for name in (*TERMS, "score", "likeness", "copying")}
    assert all(names <= row.keys() for row in rows)
    assert any(row["evaluator_alignment"] != row["held_out_alignment"] for row in rows)


def test_a_finished_run_writes_its_product_again_without_training(grpo_job, tmp_path):
    summary = run(dataclasses.replace(grpo_job, out=tmp_path))
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert (summary["reward_first"], summary["reward_last"]) == (rows[0]["reward"], rows[2]["reward"])
    assert summary["held_out_reward_first"] == rows[0]["held_out_reward"]
    assert summary["held_out_reward_last"] == rows[2]["held_out_reward"]
    assert (tmp_path / GEN).read_bytes() == (grpo_job.out / GEN).read_bytes()
    assert summary["pictures"] == 3 * 2 * 2 and summary["optimizer_steps"] == 3 * 2 and summary["rounds"] == 3
    assert (summary["kept_round"], summary["stopped_early"], summary["skipped_groups"]) == (3, 0, 0)


def test_a_killed_run_resumes_to_bit_identical_adapters(grpo_job, tmp_path, monkeypatch):
    monkeypatch.setenv("UNICHAR_BACKBONE", str(backbone_folder()))
    eager = replaced(TINY["grpo"], save_seconds=0.0)
    job = make_job("grpo", tmp_path, grpo_job.inputs, config=eager)
    process = start_stage("grpo", job, config="replaced(TINY['grpo'], save_seconds=0.0)")
    wait_for_step(process, job.scratch / "state.safetensors", random.choice([1, 2]))
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert 1 <= saved_step(job.scratch / "state.safetensors") <= 3

    run(job)
    assert_same_run(job, grpo_job)


def test_flow_grpo_stopped_by_sigterm_resumes_to_the_bit_identical_best(grpo_job, tmp_path, monkeypatch):
    """The other algorithm, the other signal, and the best adapters instead of the last."""
    monkeypatch.setenv("UNICHAR_BACKBONE", str(backbone_folder()))
    changes = {
        "algorithm": "flow_grpo",
        "rounds": 2,
        "flow_grpo": {"window": 1},
        "validation": {"keep": "best", "every": 1},
        "save_seconds": 0.0,
    }
    config = replaced(TINY["grpo"], **changes)
    straight = make_job("grpo", tmp_path / "straight", grpo_job.inputs, config=config)
    summary = run(straight)

    job = make_job("grpo", tmp_path / "stopped", grpo_job.inputs, config=config)
    process = start_stage("grpo", job, config=f"replaced(TINY['grpo'], **{changes})")
    wait_for_step(process, job.scratch / "state.safetensors", 1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) in (STOPPED, 0)

    resumed = run(job)
    for name in ("kept_round", "optimizer_steps", "reward_last"):
        assert resumed[name] == summary[name]
    assert_same_run(job, straight)
    rows = read_curve(straight.out / "curve.jsonl")
    assert all({"loss", "ratio_off", "clipped", "kl"} <= row.keys() and row["kl"] >= 0 for row in rows)


def test_losing_identity_stops_training_and_keeps_the_best_adapters(sft_job, grpo_job, tmp_path, monkeypatch):
    # The evaluator's likeness before training and after the first round.
    values = iter([0.9, 0.5])
    monkeypatch.setattr(Scorers, "likeness", lambda self, pixels: torch.full((len(pixels),), next(values)))
    validation = {"keep": "best", "max_identity_drop": 0.1, "every": 1}
    job = make_job("grpo", tmp_path, grpo_job.inputs, config=replaced(TINY["grpo"], validation=validation))
    summary = run(job)
    assert (job.out / GEN).read_bytes() == (sft_job.out / GEN).read_bytes()
    assert (summary["kept_round"], summary["stopped_early"], summary["rounds"]) == (0, 1, 1)
    assert saved_step(job.scratch / "state.safetensors") == 1
    # It stays stopped.
    assert run(job)["rounds"] == 1


def test_each_epoch_is_a_shuffled_pass_and_the_learning_rate_falls_to_0(grpo_job, tmp_path):
    rollout = {"prompts": 5, "step_prompts": 2}
    trainer = trainer_of(grpo_job, tmp_path, epochs=2, rounds=2, lr_decay=1.0, rollout=rollout)
    config = trainer.config

    rounds = [list(trainer._minibatches(5, index)) for index in (0, 1)]
    assert [step for minibatches in rounds for step, _ in minibatches] == list(range(2 * 2 * 3))
    for minibatches in rounds:
        for epoch in (minibatches[:3], minibatches[3:]):
            seen = torch.cat([positions for _, positions in epoch])
            assert sorted(seen.tolist()) == list(range(5 * config.rollout.group))
    assert [p.tolist() for _, p in rounds[0]] != [p.tolist() for _, p in rounds[1]]
    assert list(trainer._minibatches(0, 0)) == []

    rates = []
    for index in (0, 1):
        trainer.rl_step(index)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert config.lr > rates[0] > rates[1] == pytest.approx(config.lr / 12)
    assert trainer.validation.progress.steps == 12


def test_a_round_trains_nothing_but_the_picture_adapters(grpo_job, tmp_path):
    trainer = trainer_of(grpo_job, tmp_path)
    model = trainer.model
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    trainer.round(0)
    changed = {
        name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])
    }
    assert changed and changed <= {f"gen.{name}" for name in trainable(model.gen)}
    assert not trainable(model.und)

    # After two optimizer steps the EMA of the sampling policy has a decay of only 0.002.
    sampling = trainer.algorithm.modules["old"].state_dict().values()
    near = zip(sampling, trainable(model.gen).values(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in near)

    reference = trainer.reference.state_dict().values()
    starts = [before[f"gen.{name}"] for name in trainable(model.gen)]
    assert all(torch.equal(a, b) for a, b in zip(reference, starts, strict=True))


def test_photographs_are_reinforced_too(tmp_path):
    inputs = make_inputs(tmp_path / "nia", **nia_the_photographer())
    first = make_job("sft", tmp_path / "sft", inputs, config=replaced(TINY["sft"], steps=1))
    sft.run(first)
    config = replaced(TINY["grpo"], rounds=1)
    job = make_job("grpo", tmp_path, inputs | {"sft_checkpoint": first.out}, config=config)
    summary = run(job)
    assert -1 < summary["reward_first"] < 6.5 and -1 < summary["held_out_reward_first"] < 6.5

    trainer = Trainer(load_model(BASE, first.out / "adapters", trainable=True), job)
    assert trainer.config.nft.beta == config.nft.domain_beta["photo"] != config.nft.beta
    (row,) = read_curve(job.out / "curve.jsonl")
    # Reward and evaluator look with different networks.
    assert row["held_out_identity"] != row["evaluator_identity"]


def test_groups_without_variance_are_skipped(grpo_job, tmp_path):
    trainer = trainer_of(grpo_job, tmp_path, reward={"min_spread": 100.0})
    parameters = trainable(trainer.model.gen)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    numbers = trainer.round(0)
    progress = trainer.validation.progress
    assert numbers["skipped_groups"] == 2 and "loss" not in numbers
    assert (int(progress.skipped), int(progress.steps)) == (2, 0)
    assert all(torch.equal(parameter, before[name]) for name, parameter in parameters.items())
