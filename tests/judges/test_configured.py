"""Configured judges at work on photographs: as scorers, in a round of Character-GRPO and in a report."""

import dataclasses
import json

import pytest
import torch
from factories_config import replaced
from factories_interactions import nia_the_photographer
from factories_judges import make_clip, make_dino, sensible, serving
from factories_model import BASE, TINY, make_inputs, make_job
from factories_small import small_home

from unichar.evaluation.evaluate import Evaluation
from unichar.evaluation.metrics import METRICS
from unichar.evaluation.report import write_report
from unichar.grpo.train import run as reinforce
from unichar.judges.alignment import target_text
from unichar.judges.config import JudgesConfig
from unichar.judges.configured import ConfiguredJudges
from unichar.judges.dino import DinoEncoder
from unichar.judges.encoders import PhotoEncoder
from unichar.judges.scorers import Scorers
from unichar.sft.train import run as tune
from unichar.training.curves import read_curve
from unichar.types import CuratedKit, Prompt


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return {
        "clip": str(make_clip(tmp_path_factory.mktemp("clip"))),
        "dino": str(make_dino(tmp_path_factory.mktemp("dino"))),
    }


@pytest.fixture(scope="module")
def nia(tmp_path_factory):
    """Inputs of a character of photographs."""
    return make_inputs(tmp_path_factory.mktemp("nia"), **nia_the_photographer())


def configured(folder, tmp_path, **judges) -> tuple[ConfiguredJudges, CuratedKit]:
    kit = CuratedKit.read(folder)
    return ConfiguredJudges(JudgesConfig(**judges), kit, folder, questions=tmp_path / "questions.json"), kit


def test_without_judges_nothing_is_loaded_and_nothing_changes(nia, tmp_path):
    judges, _ = configured(nia["curated_kit"], tmp_path)
    assert (judges.encoder, judges.texts, judges.llm_judge, judges.notes()) == (None, (), None, [])


def test_pictures_with_attributes_are_left_to_the_packed_encoders(inputs, networks, tmp_path):
    judges, _ = configured(
        inputs["curated_kit"], tmp_path, **networks, endpoint="http://127.0.0.1:9/v1", endpoint_model="m"
    )
    assert (judges.encoder, judges.texts) == (None, ()) and judges.llm_judge is not None
    judges, _ = configured(
        inputs["curated_kit"], tmp_path, clip="/nowhere", dino="/nowhere"
    )  # not even looked for
    assert judges.notes() == []


def test_alignment_is_the_mean_of_the_judges_that_read_text(nia, networks, tmp_path):
    with serving(sensible) as (address, server):
        judges, kit = configured(
            nia["curated_kit"], tmp_path, **networks, endpoint=address, endpoint_model="m"
        )
        scorers = Scorers(
            PhotoEncoder(BASE), kit, nia["curated_kit"], size=128, soft=True, texts=judges.texts
        )
        prompts = [Prompt(text="Draw this", reference=picture.image) for picture in kit.split("train")]
        found = scorers.alignment(scorers.references, prompts)
        texts = [target_text(prompt, kit) for prompt in prompts]
        each = [judge.score(scorers.references, texts) for judge in judges.texts]
    assert isinstance(judges.encoder, DinoEncoder) and len(each) == 2
    assert torch.allclose(found, (each[0] + each[1]) / 2) and torch.equal(each[1], torch.ones(len(prompts)))
    assert any("the person waving from a pier" in text for text in server.texts)
    assert not any("Nia" in text for text in server.texts)


def test_the_target_text_is_the_caption_of_the_reference_or_the_prompt(nia):
    kit = CuratedKit.read(nia["curated_kit"])
    first = kit.pictures[0]
    assert (
        target_text(Prompt(text="A long talk", reference=first.image), kit) == "the person waving from a pier"
    )
    assert target_text(Prompt(text="Nia with Nia's bike"), kit) == "the person with the person's bike"


def finished(job, run):
    """A job after its stage, with the summary that the pipeline would write."""
    (job.out / "summary.json").write_text(json.dumps({**run(job), "seconds": 1.0}))
    return job


def test_a_photographed_character_is_reinforced_and_reported_by_configured_judges(
    nia, networks, small_base, tmp_path
):
    """CLIP and questions reward, DINOv2 and another model report; what was asked is kept."""
    with serving(sensible) as (address, server), small_home(small_base):
        first = make_job(
            "sft", tmp_path / "sft", nia, base=small_base, config=dataclasses.replace(TINY["sft"], steps=1)
        )
        finished(first, tune)
        judges = JudgesConfig(clip=networks["clip"], endpoint=address, endpoint_model="rewarder")
        config = replaced(TINY["grpo"], rounds=1, reward={"judges": judges})
        second = make_job(
            "grpo", tmp_path / "grpo", nia | {"sft_checkpoint": first.out}, base=small_base, config=config
        )
        finished(second, reinforce)
        (row,) = read_curve(second.out / "curve.jsonl")
        assert 0.5 <= row["alignment"] <= 1  # questions give 1, CLIP something
        assert (second.scratch / "questions.json").exists()
        assert {body["model"] for body in server.bodies} == {"rewarder"}

        (tmp_path / "characters" / "nia").mkdir(parents=True)
        judges = JudgesConfig(dino=networks["dino"], endpoint=address, endpoint_model="reporter")
        inputs = second.inputs | {"grpo_checkpoint": second.out, "raw_kit": tmp_path / "characters" / "nia"}
        config = dataclasses.replace(TINY["evaluate"], judges=judges)
        third = make_job(
            "evaluate", tmp_path / "report", inputs, base=small_base, character="nia", config=config
        )
        evaluation = Evaluation(third)
        result = evaluation.arm("grpo")
        report = evaluation.report({"base": result, "sft": result, "grpo": result})
    write_report(report, third.out)
    ranges = {metric.name: metric for metric in METRICS}
    for name, value in result.metrics.items():
        assert ranges[name].low <= value.low <= value.value <= value.high, name
    assert result.metrics["alignment"].value == result.metrics["role_play_alignment"].value == 1
    assert result.metrics["memorization"].value == result.metrics["personality"].value == 6
    assert result.metrics["personality"].n == 2
    page = (third.out / "report.html").read_text()
    assert "judged by DINOv2" in page and "right answers of reporter" in page and "scores of reporter" in page
    assert (third.out / "questions.json").exists()
