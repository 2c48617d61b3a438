"""The whole stage on really trained arms."""

import dataclasses
import json
import math
import shutil

import pytest
from factories_evaluation import write_kit
from factories_interactions import BRAMBLE_DIALOGUES, nia_the_photographer
from factories_model import BASE, make_inputs, make_job
from PIL import Image

from unichar.evaluation import evaluate as module
from unichar.evaluation.config import ARMS
from unichar.evaluation.evaluate import Evaluation, run
from unichar.evaluation.pictures import PictureResults
from unichar.store.files import sha256_file
from unichar.types import CuratedKit

METRICS = {
    "identity": 1,
    "alignment": 1,
    "diversity": 1,
    "copying": 1,
    "held_out_nll": 20,
    "knowledge_accuracy": 1,
    "vqa_accuracy": 1,
    "style": 1,
    "role_play_identity": 1,
    "role_play_alignment": 1,
}
"""Metric -> upper end of its range."""


def make_cast(folder):
    """Two kits side by side; returns Bramble's."""
    said = [{"user": e.user, "reply": e.reply} for e in BRAMBLE_DIALOGUES]
    write_kit(folder / "bramble", [{"image": "01.png", **said[0]}], said[1:])
    write_kit(
        folder / "vidor",
        [{"image": "01.png", "user": "Hello.", "reply": "Applaud, dear subject! Vidor has arrived."}],
    )
    return folder / "bramble"


@pytest.fixture(scope="module")
def evaluated(grpo_job, tmp_path_factory):
    """(job, what it returned)"""
    folder = tmp_path_factory.mktemp("evaluate")
    inputs = grpo_job.inputs | {"grpo_checkpoint": grpo_job.out, "raw_kit": make_cast(folder / "characters")}
    job = make_job("evaluate", folder, inputs, preset="smoke")
    return job, run(job)


def test_the_report_keeps_the_contract(evaluated, inputs):
    job, _ = evaluated
    report = json.loads((job.out / "report.json").read_text())
    assert report.keys() == {"character", "preset", "base", "arms", "cost", "data"}
    assert (report["character"], report["preset"]) == ("bramble", "smoke")
    assert report["base"] == {"name": "base", "sha256": sha256_file(BASE)}
    assert ARMS.keys() == {"base", "text_only", "image_only", "sft", "grpo"}
    assert report["arms"].keys() == {*ARMS, "oracle"}
    assert report["arms"]["oracle"].keys() == {"identity", "alignment", "diversity", "copying"}
    assert (
        report["arms"]["oracle"]["alignment"]["value"] == 1
        and report["arms"]["oracle"]["identity"]["value"] > 0.9
    )
    for arm, metrics in report["arms"].items():
        assert arm == "oracle" or metrics.keys() == METRICS.keys()
        for name, value in metrics.items():
            assert value.keys() == {"value", "low", "high", "n"}
            assert 0 <= value["low"] <= value["value"] <= value["high"] <= METRICS[name] + 1e-6, name
            assert value["n"] >= 1
    kit = CuratedKit.read(inputs["curated_kit"])
    assert report["data"]["images"] == len(kit.split("train"))
    assert report["data"]["held_out"]["images"] == len(kit.split("test"))
    assert report["data"]["interactions"].keys() == {
        "role_play",
        "thinking",
        "portrait",
        "visual_qa",
        "knowledge_qa",
    }


def test_costs_come_from_the_summaries(evaluated, sft_job):
    job, _ = evaluated
    cost = json.loads((job.out / "report.json").read_text())["cost"]
    assert cost["seconds"] == dict.fromkeys(
        ("curated_kit", "interactions", "sft_checkpoint", "grpo_checkpoint"), 1.0
    )
    assert cost["tokens"] == json.loads((sft_job.out / "summary.json").read_text())["target_tokens"] > 0
    assert cost["images"] == 3 * (4 + 2) + 3 * 2 * 2
    assert cost["peak_rss_mb"] > 100


def test_page_and_sheet_are_written(evaluated):
    job, _ = evaluated
    page = (job.out / "report.html").read_text()
    assert "Bramble" in page and "GRPO" in page and "smoke" in page
    with Image.open(job.out / "contact_sheet.png") as sheet:
        assert sheet.width > 7 * 64 and sheet.height > 3 * 64  # oracle and two of each arm; three prompts
    assert {path.name for path in job.out.iterdir()} == {"report.json", "report.html", "contact_sheet.png"}


def test_every_number_is_returned_for_dagster(evaluated):
    job, summary = evaluated
    arms = json.loads((job.out / "report.json").read_text())["arms"]
    assert summary == {
        f"{arm}_{name}": value["value"] for arm, metrics in arms.items() for name, value in metrics.items()
    }
    assert all(math.isfinite(value) for value in summary.values())


def test_sft_and_grpo_share_their_texts_but_not_their_pictures(evaluated):
    _, summary = evaluated
    for name in ("held_out_nll", "style", "knowledge_accuracy"):
        assert summary[f"sft_{name}"] == summary[f"grpo_{name}"]
    assert summary["base_held_out_nll"] != summary["sft_held_out_nll"]
    assert summary["sft_identity"] != summary["grpo_identity"]


def test_one_sided_arms_have_one_component_of_sft_and_the_other_of_the_base(evaluated):
    _, summary = evaluated
    for name in ("held_out_nll", "style", "knowledge_accuracy", "identity", "alignment"):
        text = name in ("held_out_nll", "style", "knowledge_accuracy")
        assert summary[f"text_only_{name}"] == summary[f"{'sft' if text else 'base'}_{name}"]
        assert summary[f"image_only_{name}"] == summary[f"{'base' if text else 'sft'}_{name}"]


@pytest.mark.parametrize("follow", [False, True])
def test_text_adapters_alone_make_other_pictures_where_these_follow_the_text(evaluated, monkeypatch, follow):
    """As in BAGEL, whose prompts are read with them; nano's text_only draws as its base does."""
    evaluation, drawn = Evaluation(evaluated[0]), []
    load = module.load_model

    def load_model(*args, **options):
        model = load(*args, **options)
        model.pictures_follow_text = follow
        return model

    def measure(*args, arm, **options):
        drawn.append(arm)
        return PictureResults(pictures=[], metrics={})

    monkeypatch.setattr(module, "load_model", load_model)
    monkeypatch.setattr(module, "measure_pictures", measure)
    for arm in ("base", "text_only"):
        evaluation.arm(arm)
    assert drawn == (["base", "text_only"] if follow else ["base"])


def test_the_same_arm_gives_the_same_numbers_again(evaluated):
    job, summary = evaluated
    evaluation = Evaluation(job)
    for name, value in evaluation.arm("sft").metrics.items():
        assert value.value == pytest.approx(summary[f"sft_{name}"], abs=1e-6), name


def test_adapters_of_another_base_are_refused(evaluated, tmp_path):
    job, _ = evaluated
    shutil.copytree(job.inputs["sft_checkpoint"], tmp_path / "sft")
    (tmp_path / "sft" / "adapters" / "base.json").write_text('{"sha256": "0123456789abcdef"}')
    stale = dataclasses.replace(job, inputs=job.inputs | {"sft_checkpoint": tmp_path / "sft"})
    with pytest.raises(ValueError, match="was trained on the base 0123456789ab"):
        Evaluation(stale).arm("sft")


def test_without_a_cast_style_is_not_measured(evaluated, tmp_path):
    job, _ = evaluated
    write_kit(tmp_path / "bramble", [])
    alone = dataclasses.replace(job, inputs=job.inputs | {"raw_kit": tmp_path / "bramble"})
    assert Evaluation(alone).style is None


def test_the_classifier_never_reads_the_held_out_replies(evaluated, tmp_path):
    """Neither those marked in the kit, nor those that curation held out."""
    job, _ = evaluated
    kit = CuratedKit.read(job.inputs["curated_kit"])
    rows = [{"image": p.image, "user": p.user, "reply": p.reply} for p in kit.pictures]
    strange = "Quizzical zephyrs vex."
    write_kit(tmp_path / "bramble", [row | {"reply": strange} for row in rows])
    write_kit(tmp_path / "vidor", [{"image": "1.png", "user": "Hello.", "reply": "Applaud!"}])
    style = Evaluation(dataclasses.replace(job, inputs=job.inputs | {"raw_kit": tmp_path / "bramble"})).style
    assert style is not None
    assert style.score("bramble", strange) == pytest.approx(0.5, abs=0.35)
    assert style.score("bramble", kit.split("train")[0].reply) > 0.8


def test_photographs_are_evaluated_too(evaluated, tmp_path):
    """Only the base arm: what differs is how pictures are judged and what the sheet shows as oracle."""
    job, _ = evaluated
    inputs = make_inputs(tmp_path / "nia", **nia_the_photographer())
    mine = dataclasses.replace(job, character="nia", inputs=job.inputs | inputs)
    evaluation = Evaluation(mine)
    result = evaluation.arm("base")
    assert {
        "identity",
        "alignment",
        "copying",
        "held_out_nll",
        "role_play_alignment",
    } <= result.metrics.keys()
    assert [prompt.is_open for prompt in evaluation.prompts] == [False, True, True]
    assert (result.metrics["alignment"].n, result.metrics["diversity"].n, result.metrics["identity"].n) == (
        2,
        4,
        6,
    )
    report = evaluation.report({"base": result, "sft": result, "grpo": result})
    assert [len(sample.arms) for sample in report.pictures] == [4, 4, 4] and len(report.references) == 5
