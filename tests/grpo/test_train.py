"""Character-GRPO on a real model: only pictures change, kills change nothing."""

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

PARTS = ("identity", "alignment", "diversity", "naturalness")
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
    assert all({"loss", "policy", "kl", "reward", *PARTS} <= row.keys() for row in rows)
    assert [row["step"] for row in rows if "held_out_reward" in row] == [
        0,
        1,
        2,
    ]  # before learning, after two rounds, at the end
    for row in rows:
        parts = {name: row[name] * getattr(TINY["grpo"].reward, f"{name}_weight") for name in PARTS}
        assert row["reward"] == pytest.approx(sum(parts.values()), rel=1e-4)
        assert row["reward_min"] <= row["reward"] <= row["reward_max"] and row["reward_std"] >= 0
        assert row["skipped_groups"] == 0 and -5 <= row["advantage_min"] <= 0 <= row["advantage_max"] <= 5


def test_speed_and_memory_are_on_the_curve_and_in_a_viewer(grpo_job):
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert all(row["peak_memory_mb"] > 100 for row in rows) and all(
        row["pictures_per_second"] > 0 for row in rows[1:]
    )
    assert [path.name for path in (grpo_job.out / "tensorboard").iterdir()] == ["000.tfevents"]


def test_watched_prompts_are_judged_by_another_eye_too(grpo_job):
    rows = [row for row in read_curve(grpo_job.out / "curve.jsonl") if "held_out_reward" in row]
    marks = {f"evaluator_{name}" for name in (*PARTS, "score", "likeness", "copying")}
    assert all(marks <= row.keys() for row in rows)
    assert any(row["evaluator_alignment"] != row["held_out_alignment"] for row in rows)


def test_the_summary_tells_first_from_last(sft_job, grpo_job, tmp_path):
    summary = run(dataclasses.replace(grpo_job, out=tmp_path))  # finished: nothing is trained again
    rows = read_curve(grpo_job.out / "curve.jsonl")
    assert (summary["reward_first"], summary["reward_last"]) == (rows[0]["reward"], rows[2]["reward"])
    assert summary["held_out_reward_first"] == rows[0]["held_out_reward"]
    assert summary["held_out_reward_last"] == rows[2]["held_out_reward"]
    assert summary["pictures"] == 3 * 2 * 2 and summary["optimizer_steps"] == 3 * 2 and summary["rounds"] == 3
    assert (summary["kept_round"], summary["stopped_early"], summary["skipped_groups"]) == (3, 0, 0)
    assert (tmp_path / GEN).read_bytes() == (grpo_job.out / GEN).read_bytes()


def without_clock(row: dict[str, float]) -> dict[str, float]:
    """A line of the curve without what depends on the machine."""
    return {
        name: value for name, value in row.items() if name not in ("pictures_per_second", "peak_memory_mb")
    }


def same_run(job, other) -> None:
    """Adapters, curve and the whole state, to the last bit."""
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


def test_a_killed_run_goes_on_to_the_very_same_adapters(grpo_job, tmp_path, monkeypatch):
    monkeypatch.setenv("UNICHAR_BACKBONE", str(backbone_folder()))
    eager = replaced(TINY["grpo"], save_seconds=0.0)
    job = make_job("grpo", tmp_path, grpo_job.inputs, config=eager)
    process = start_stage("grpo", job, config="replaced(TINY['grpo'], save_seconds=0.0)")
    wait_for_step(process, job.scratch / "state.safetensors", random.choice([1, 2]))
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert 1 <= saved_step(job.scratch / "state.safetensors") <= 3
    run(job)
    same_run(job, grpo_job)


def test_flow_grpo_stopped_by_a_signal_goes_on_to_the_very_same_best(grpo_job, tmp_path, monkeypatch):
    """The other algorithm, the other signal, and the best instead of the last."""
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
    assert (
        run(job).items()
        >= {name: summary[name] for name in ("kept_round", "optimizer_steps", "reward_last")}.items()
    )
    same_run(job, straight)
    rows = read_curve(straight.out / "curve.jsonl")
    assert all({"loss", "ratio_off", "clipped", "kl"} <= row.keys() and row["kl"] >= 0 for row in rows)


def test_who_loses_the_character_is_stopped_and_leaves_what_was_best(
    sft_job, grpo_job, tmp_path, monkeypatch
):
    marks = iter([0.9, 0.5])  # of the evaluator: before learning, and after the first round
    monkeypatch.setattr(Scorers, "likeness", lambda self, pixels: torch.full((len(pixels),), next(marks)))
    config = replaced(TINY["grpo"], validation={"keep": "best", "max_identity_drop": 0.1, "every": 1})
    job = make_job("grpo", tmp_path, grpo_job.inputs, config=config)
    summary = run(job)
    assert (job.out / GEN).read_bytes() == (sft_job.out / GEN).read_bytes()
    assert (summary["kept_round"], summary["stopped_early"], summary["rounds"]) == (0, 1, 1)
    assert saved_step(job.scratch / "state.safetensors") == 1
    assert run(job)["rounds"] == 1  # and stays stopped


def test_every_pass_takes_each_prompt_once_and_the_rate_falls_to_nothing(grpo_job, tmp_path):
    config = replaced(
        TINY["grpo"], epochs=2, rounds=2, lr_decay=1.0, rollout={"prompts": 5, "step_prompts": 2}
    )
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    trainer = Trainer(model, make_job("grpo", tmp_path, grpo_job.inputs, config=config))
    orders = [list(trainer._order(5, index)) for index in (0, 1)]
    assert [step for order in orders for step, _ in order] == list(range(2 * 2 * 3))
    for order in orders:
        for epoch in (order[:3], order[3:]):
            assert sorted(torch.cat([places for _, places in epoch]).tolist()) == list(
                range(5 * config.rollout.group)
            )
    assert [places.tolist() for _, places in orders[0]] != [places.tolist() for _, places in orders[1]]
    assert list(trainer._order(0, 0)) == []
    rates = []
    for index in (0, 1):
        trainer.rl_step(index)
        rates.append(trainer.optimizer.param_groups[0]["lr"])
    assert config.lr > rates[0] > rates[1] == pytest.approx(config.lr / 12)
    assert trainer.watch.progress.steps == 12


def test_a_round_trains_nothing_but_the_picture_adapters(grpo_job, tmp_path):
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    learning = {f"gen.{name}" for name in trainable(model.gen)}
    trainer = Trainer(model, make_job("grpo", tmp_path, grpo_job.inputs))
    trainer.round(0)
    changed = {
        name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])
    }
    assert changed and changed <= learning
    assert not trainable(model.und)
    sampled = trainer.algorithm.modules["old"].state_dict().values()
    near = zip(sampled, trainable(model.gen).values(), strict=True)
    assert all(
        torch.allclose(a, b, atol=1e-4) for a, b in near
    )  # after two steps it keeps two thousandths of itself
    kept = trainer.reference.state_dict().values()
    starts = [before[f"gen.{name}"] for name in trainable(model.gen)]
    assert all(
        torch.equal(a, b) for a, b in zip(kept, starts, strict=True)
    )  # and the SFT model is kept to stay near


def test_photographs_are_reinforced_too(tmp_path):
    inputs = make_inputs(tmp_path / "nia", **nia_the_photographer())
    first = make_job("sft", tmp_path / "sft", inputs, config=dataclasses.replace(TINY["sft"], steps=1))
    sft.run(first)
    config = replaced(TINY["grpo"], rounds=1)
    job = make_job("grpo", tmp_path, inputs | {"sft_checkpoint": first.out}, config=config)
    summary = run(job)
    assert -1 < summary["reward_first"] < 6.5 and -1 < summary["held_out_reward_first"] < 6.5
    trainer = Trainer(load_model(BASE, first.out / "adapters", trainable=True), job)
    assert trainer.config.nft.beta == config.nft.photo_beta != config.nft.beta
    (row,) = read_curve(job.out / "curve.jsonl")
    assert row["held_out_identity"] != row["evaluator_identity"], (
        "reward and evaluator look with different networks"
    )


def test_prompts_without_differences_are_skipped(grpo_job, tmp_path):
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    config = replaced(TINY["grpo"], reward={"min_spread": 100.0})
    trainer = Trainer(model, make_job("grpo", tmp_path, grpo_job.inputs, config=config))
    before = {name: parameter.detach().clone() for name, parameter in trainable(model.gen).items()}
    numbers = trainer.round(0)
    assert numbers["skipped_groups"] == 2 and "loss" not in numbers
    assert (int(trainer.watch.progress.skipped), int(trainer.watch.progress.steps)) == (2, 0)
    assert all(torch.equal(parameter, before[name]) for name, parameter in trainable(model.gen).items())


@pytest.mark.parametrize("algorithm", ["nft", "flow_grpo"])
def test_a_rollout_is_a_matter_of_its_prompt_round_and_seed(grpo_job, tmp_path, algorithm):
    """Whatever else is in the batch, up to the rounding of matrix products of another shape."""
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    config = replaced(TINY["grpo"], algorithm=algorithm, flow_grpo={"window": 1})
    trainer = Trainer(model, make_job("grpo", tmp_path, grpo_job.inputs, config=config))
    prompts = trainer.practice[:2]
    with trainer.algorithm.policy():
        pair, alone = (trainer.rollout(which, 1)["x0"] for which in (prompts, prompts[:1]))
        assert torch.equal(trainer.rollout(prompts, 1)["x0"], pair)
        assert not torch.allclose(trainer.rollout(prompts, 2)["x0"], pair, atol=0.05)
    assert (alone - pair[:2]).square().mean().sqrt() < 0.03 * pair.std()
