"""Validation while training: held-out items are never trained on, the best is kept, early stopping."""

import pytest
import torch
from factories_small import saved_adapters, small_home, small_job, small_model
from PIL import Image

from unichar.sft.train import Trainer, run
from unichar.sft.validation import hold_out
from unichar.training.curves import read_curve
from unichar.types import read_interactions

VALIDATION = {"every": 2, "conversations": 3}


def test_held_out_topics_are_not_trained_on(inputs):
    items = read_interactions(inputs["interactions"] / "train.jsonl")
    train, held_out = hold_out(items, 4, seed=0)
    topics = {item.group for item in held_out}
    assert len(held_out) == len(topics) == 4 and not topics & {item.group for item in train}
    assert {item.kind for item in held_out} <= {"role_play", "thinking"}
    assert [item for item in items if item.group not in topics] == train
    assert [item for item in items if item.kind in ("portrait", "knowledge_qa", "visual_qa")] == [
        item for item in train if item.kind in ("portrait", "knowledge_qa", "visual_qa")
    ]
    assert hold_out(items, 4, seed=0) == (train, held_out) != hold_out(items, 4, seed=1)


def test_held_out_items_are_not_test_items(inputs):
    test = {item.group for item in read_interactions(inputs["interactions"] / "test.jsonl")}
    _, held_out = hold_out(read_interactions(inputs["interactions"] / "train.jsonl"), 8, seed=0)
    assert not test & {item.group for item in held_out}


def test_a_small_kit_keeps_four_fifths_of_its_topics(inputs):
    items = [
        item for item in read_interactions(inputs["interactions"] / "train.jsonl") if item.kind == "role_play"
    ]
    few = [item for item in items if item.group in sorted({item.group for item in items})[:11]]
    assert len(hold_out(few, 8, seed=0)[1]) <= 2
    assert hold_out(few[:3], 8, seed=0) == (few[:3], [])
    assert hold_out(items, 0, seed=0) == (items, [])


def test_early_stopping_is_refused_for_a_kit_with_too_few_topics(small_base, inputs, tmp_path):
    items = read_interactions(inputs["interactions"] / "train.jsonl")
    few = {item.group for item in items if item.kind == "role_play"} - {
        item.group for item in items if item.kind == "portrait"
    }
    rows = [item.to_json() for item in items if item.group not in sorted(few)[4:]]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    job = small_job(
        tmp_path,
        small_base,
        inputs | {"interactions": tmp_path},
        conversations=2,
        validation=VALIDATION | {"patience": 1},
    )
    with (
        small_home(small_base),
        pytest.raises(ValueError, match="this kit has too few topics to hold any out"),
    ):
        run(job)


def test_validation_writes_sheets_and_does_not_change_the_adapters(small_base, inputs, tmp_path):
    with small_home(small_base):
        validating = small_job(
            tmp_path / "validating",
            small_base,
            inputs,
            steps=5,
            conversations=0,
            validation={"every": 2, "pictures": 3},
        )
        run(validating)
        run(blind := small_job(tmp_path / "blind", small_base, inputs, steps=5, conversations=0))
    sheets = sorted((validating.out / "validation").iterdir())
    assert [sheet.name for sheet in sheets] == ["step-00002.png", "step-00004.png", "step-00005.png"]
    assert len({sheet.read_bytes() for sheet in sheets}) == 3 and Image.open(sheets[0]).size == (3 * 32, 32)
    assert not (blind.out / "validation").exists()
    for name, tensor in saved_adapters(blind.out / "adapters").items():
        assert torch.equal(tensor, saved_adapters(validating.out / "adapters")[name])


def test_the_held_out_loss_is_on_the_curve_and_in_the_summary(small_base, inputs, tmp_path):
    job = small_job(
        tmp_path, small_base, inputs, steps=6, conversations=2, validation=VALIDATION, und_lr=5e-3
    )
    with small_home(small_base):
        summary = run(job)
    rows = read_curve(job.out / "curve.jsonl")
    assert summary["num_held_out"] == 3 and all("held_out_nll" in row for row in rows)
    assert summary["held_out_nll"] <= rows[-1]["held_out_nll"] + 1e-9
    with small_home(small_base):
        model = small_model(small_base)
        trainer = Trainer(model, job)
        before = trainer.validation._nll()
    assert summary["held_out_nll"] < before


def test_early_stopping_keeps_the_best_text_adapters(small_base, inputs, tmp_path):
    """At a learning rate with which the second validation is worse than the first."""
    settings = {"conversations": 2, "steps": 40, "pictures": 0, "und_lr": 2.0}
    patient = VALIDATION | {"patience": 2}
    kept = small_job(
        tmp_path / "kept", small_base, inputs, **settings, validation=patient | {"keep_best": True}
    )
    last = small_job(tmp_path / "last", small_base, inputs, **settings, validation=patient)
    with small_home(small_base):
        run(kept), run(last)
    assert read_curve(kept.out / "curve.jsonl")[-1]["step"] < 39
    best, end = saved_adapters(kept.out / "adapters"), saved_adapters(last.out / "adapters")
    assert any(not torch.equal(best[name], end[name]) for name in best if name.startswith("und"))
