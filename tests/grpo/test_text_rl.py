"""Reinforcement of replies on a real model: text adapters change, kills change nothing, off by default."""

from types import SimpleNamespace

import pytest
import torch
from factories_config import replaced
from factories_model import BASE, TINY, make_job
from torch import nn

from unichar.grpo.config import GrpoConfig
from unichar.grpo.policy import Snapshot
from unichar.grpo.text_rl import TextRlTrainer, _with_reply, check_pictures
from unichar.grpo.train import run
from unichar.model.load import load_model
from unichar.model.lora import trainable
from unichar.training.curves import read_curve

UND, GEN = (f"adapters/{side}/adapter_model.safetensors" for side in ("und", "gen"))
TEXT_RL = replaced(
    TINY["grpo"], rounds=1, text={"rounds": 2, "prompts": 2, "group": 2, "max_tokens": 6, "lr": 1e-3}
)


@pytest.fixture(scope="module")
def text_rl(grpo_job, tmp_path_factory):
    """A finished run with a round of pictures and two of replies."""
    job = make_job("grpo", tmp_path_factory.mktemp("text_rl"), grpo_job.inputs, config=TEXT_RL)
    return job, run(job)


def test_it_is_off_by_default(sft_job, grpo_job):
    assert GrpoConfig().text.rounds == 0
    assert (grpo_job.out / UND).read_bytes() == (sft_job.out / UND).read_bytes()
    assert not (grpo_job.out / "curve_text.jsonl").exists()


def test_text_adapters_change_and_every_term_is_on_a_curve(sft_job, text_rl):
    job, _ = text_rl
    assert (job.out / UND).read_bytes() != (sft_job.out / UND).read_bytes()
    rows = read_curve(job.out / "curve_text.jsonl")
    assert [row["step"] for row in rows] == [0, 1]
    for row in rows:
        assert row["text_reward"] == pytest.approx(
            row["text_style"] + row["text_facts"] + row["text_length"], rel=1e-4
        )


def test_a_run_killed_between_rounds_resumes_bit_identical(text_rl, tmp_path, monkeypatch):
    job, _ = text_rl
    again = make_job("grpo", tmp_path, job.inputs, config=replaced(TEXT_RL, save_seconds=0.0))
    rounds = TextRlTrainer.round

    def die_in_the_second(self, index):
        if index == 1:
            raise KeyboardInterrupt
        return rounds(self, index)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(TextRlTrainer, "round", die_in_the_second)
        run(again)
    run(again)
    for name in (UND, GEN, "curve_text.jsonl"):
        assert (again.out / name).read_bytes() == (job.out / name).read_bytes(), name


class Looked:
    """A validation that finds the likeness it is told."""

    def __init__(self, likeness: float) -> None:
        self.likeness = likeness

    def measure(self):
        return {"evaluator_likeness": self.likeness}

    def has_lost_identity(self, likeness):
        return not likeness >= 0.5


@pytest.mark.parametrize(("likeness", "is_kept"), [(0.6, True), (0.4, False), (float("nan"), False)])
def test_replies_that_cost_the_pictures_their_character_are_taken_back(likeness, is_kept):
    net = nn.Linear(1, 1, bias=False)
    before = Snapshot(trainable(net))
    was = net.weight.item()
    net.weight.data += 1.0
    found = check_pictures(SimpleNamespace(pictures_follow_text=True), Looked(likeness), before)
    assert found["text_kept"] == is_kept and (net.weight.item() == was) == (not is_kept)

    # Nano's pictures do not follow the text adapters: nobody has to look.
    assert check_pictures(SimpleNamespace(pictures_follow_text=False), None, before) == {}


def test_a_rewarded_reply_becomes_likelier(grpo_job, tmp_path):
    model = load_model(BASE, grpo_job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    config = replaced(TEXT_RL, text={"regularizer_weight": 0.0, "lr": 3e-4})
    trainer = TextRlTrainer(
        model, make_job("grpo", tmp_path, grpo_job.inputs, config=config), list(trainable(model.und).values())
    )
    item, replies = trainer.items[0], ["Hmph. Aye, sailor.", "I do not know."]

    def likelihoods() -> list[float]:
        with torch.no_grad():
            losses = model.text_losses(
                [_with_reply(item, reply) for reply in replies], grpo_job.inputs["curated_kit"]
            )
        return [-loss.mean().item() for loss in losses]

    before = likelihoods()
    for _ in range(3):
        trainer._optimizer_step([item], [replies], torch.tensor([[1.0, -1.0]]))
    after = likelihoods()
    assert after[0] - before[0] > after[1] - before[1]
