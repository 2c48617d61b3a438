"""The whole stage on really trained arms, and what it reads of the neighbours."""

import dataclasses
import json
import math
import shutil

import pytest
from factories_evaluation import make_report_input
from factories_interactions import BRAMBLE_DIALOGUES, nia_the_photographer
from factories_model import BASE, make_inputs, make_job
from PIL import Image

from unichar.evaluation.evaluate import ARMS, Evaluation, cast_replies, remarks, run
from unichar.evaluation.statistics import Estimate
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


def write_kit(folder, scenes, dialogues=()):
    folder.mkdir(parents=True)
    for name, rows in (("scenes", scenes), ("dialogues", dialogues)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


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
    assert report["arms"].keys() == {*ARMS, "truth"}
    assert report["arms"]["truth"].keys() == {"identity", "alignment", "diversity", "copying"}
    assert (
        report["arms"]["truth"]["alignment"]["value"] == 1
        and report["arms"]["truth"]["identity"]["value"] > 0.9
    )
    for arm, metrics in report["arms"].items():
        assert arm == "truth" or metrics.keys() == METRICS.keys()
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


def test_page_and_sheet_are_written_for_people(evaluated):
    job, _ = evaluated
    page = (job.out / "report.html").read_text()
    assert "Bramble" in page and "GRPO" in page and "smoke" in page
    with Image.open(job.out / "contact_sheet.png") as sheet:
        assert sheet.width > 7 * 64 and sheet.height > 3 * 64  # truth and two of each arm; three prompts
    assert {path.name for path in job.out.iterdir()} == {"report.json", "report.html", "contact_sheet.png"}


def test_every_number_is_returned_for_dagster(evaluated):
    job, summary = evaluated
    arms = json.loads((job.out / "report.json").read_text())["arms"]
    assert summary == {
        f"{arm}_{name}": value["value"] for arm, metrics in arms.items() for name, value in metrics.items()
    }
    assert all(math.isfinite(value) for value in summary.values())


def test_sft_and_grpo_share_their_words_but_not_their_pictures(evaluated):
    _, summary = evaluated
    for name in ("held_out_nll", "style", "knowledge_accuracy"):
        assert summary[f"sft_{name}"] == summary[f"grpo_{name}"]
    assert summary["base_held_out_nll"] != summary["sft_held_out_nll"]
    assert summary["sft_identity"] != summary["grpo_identity"]


def test_one_sided_arms_have_one_side_of_sft_and_the_other_of_the_base(evaluated):
    _, summary = evaluated
    for name in ("held_out_nll", "style", "knowledge_accuracy", "identity", "alignment"):
        text = name in ("held_out_nll", "style", "knowledge_accuracy")
        assert summary[f"text_only_{name}"] == summary[f"{'sft' if text else 'base'}_{name}"]
        assert summary[f"image_only_{name}"] == summary[f"{'base' if text else 'sft'}_{name}"]


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
    """Neither those the author marked, nor those that the line held out itself."""
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
    """Only the base arm: what differs is how pictures are judged and what the sheet shows as truth."""
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
    assert report.sheet is not None and len(report.references) == 5


# The cast


def test_a_cast_is_everybodys_words_without_the_held_out_scenes(tmp_path):
    write_kit(
        tmp_path / "wisp",
        [{"user": "a", "reply": "Ooh."}, {"user": "b", "reply": "Secret.", "held_out": True}],
        [{"user": "c", "reply": "Whee."}],
    )
    write_kit(tmp_path / "abel", [{"user": "a", "reply": "Yes."}])
    (tmp_path / "notes.txt").write_text("not a kit")
    assert cast_replies(tmp_path) == [("abel", ["Yes."]), ("wisp", ["Ooh.", "Whee."])]


@pytest.mark.parametrize("broken", ['{"user": "a", "rep', "[]", '{"user": "a"}', "\ufeff", "\x00\xff"])
def test_a_neighbours_broken_kit_stops_nobody(tmp_path, broken):
    write_kit(tmp_path / "abel", [{"user": "a", "reply": "Yes."}])
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "scenes.jsonl").write_text(broken)
    (tmp_path / "empty").mkdir()
    assert cast_replies(tmp_path) == [("abel", ["Yes."])]


# Remarks


def test_remarks_say_what_the_intervals_allow():
    arms = {arm: dict(metrics) for arm, metrics in make_report_input().arms.items()}
    arms["grpo"]["alignment"] = Estimate(value=0.9, low=0.85, high=0.95, n=10)
    arms["grpo"]["diversity"] = Estimate(value=0.1, low=0.05, high=0.15, n=10)
    identity, alignment, diversity = remarks(arms)
    assert "identity" in identity and "can not be told from SFT's" in identity
    assert alignment == "GRPO raised alignment from 0.70 to 0.90 on held-out prompts."
    assert diversity == "GRPO lowered diversity from 0.33 to 0.10 on held-out prompts."
