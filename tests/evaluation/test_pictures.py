"""Pictures of an arm: sampled from named noise, measured by networks that training never used."""

import dataclasses

import pytest
import torch
from factories_interactions import BRAMBLE_LOOK, nia_the_photographer
from factories_judges import make_clip
from factories_model import BASE, PROMPTS, TINY, make_album, make_inputs, make_prior_images

from unichar.domains.toon.draw import draw as render
from unichar.domains.toon.vocabulary import SCENE
from unichar.evaluation.pictures import (
    ReportScorers,
    check_finite,
    measure_oracle,
    measure_pictures,
    oracle_images,
    sample_pixels,
)
from unichar.judges.config import JudgesConfig
from unichar.judges.configured import ConfiguredJudges
from unichar.kit.images import load_picture
from unichar.model.pixels import to_pixels
from unichar.types import CuratedKit, Prompt

CONFIG = TINY["evaluate"]


@pytest.fixture(scope="module")
def report_scorers(inputs):
    folder = inputs["curated_kit"]
    kit = CuratedKit.read(folder)
    return ReportScorers(
        kit,
        folder,
        BASE,
        size=128,
        judges=ConfiguredJudges(JudgesConfig(), kit, folder, questions=folder / "none.json"),
    )


def prompts_of(album) -> list[Prompt]:
    return [
        Prompt(text=f"{i}", attributes={name: getattr(s, name) for name in SCENE})
        for i, s in enumerate(album.scenes)
    ]


def test_a_picture_depends_on_its_prompt_its_number_and_the_seed(model):
    together = sample_pixels(model, PROMPTS[:2], config=CONFIG, count=2, seed=3)
    assert together.shape == (4, 3, 128, 128)
    assert torch.equal(together, sample_pixels(model, PROMPTS[:2], config=CONFIG, count=2, seed=3))
    alone = sample_pixels(model, PROMPTS[1:2], config=CONFIG, count=1, seed=3)
    assert (alone[0] - together[2]).abs().mean() < 0.02
    assert (together[0] - together[1]).abs().mean() > 0.05
    assert (
        sample_pixels(model, PROMPTS[:1], config=CONFIG, count=1, seed=4)[0] - together[0]
    ).abs().mean() > 0.05


def test_oracle_pictures_get_high_metrics_and_other_characters_low_ones(report_scorers):
    album = make_album(4, seed=9)
    right = [render(BRAMBLE_LOOK, scene, seed=seed) for scene in album.scenes for seed in (1, 2)]
    good = report_scorers.measure(to_pixels(right), prompts_of(album))
    bad = report_scorers.measure(to_pixels(make_prior_images(8)), prompts_of(album))
    assert good.keys() == bad.keys() == {"identity", "alignment", "diversity", "copying"}
    assert good["identity"].value > 0.85 > 0.6 > bad["identity"].value
    assert good["alignment"].value > 0.85 > 0.6 > bad["alignment"].value
    assert bad["diversity"].value > good["diversity"].value > 0
    assert good["identity"].n == 8
    assert all(0 <= e.low <= e.value <= e.high <= 1 for metrics in (good, bad) for e in metrics.values())


def test_diversity_is_that_of_prompts_which_leave_something_open(report_scorers, inputs):
    kit = CuratedKit.read(inputs["curated_kit"])
    full = Prompt(text="full", attributes={name: values[1] for name, values in SCENE.items()})
    beach = Prompt(text="open", attributes={"background": "beach"}, is_open=True)

    def metrics(*prompts):
        return measure_oracle(
            report_scorers, kit, inputs["curated_kit"], prompts, config=CONFIG, size=128, seed=0
        )

    both, closed, opened = metrics(full, beach), metrics(full), metrics(beach)
    assert (
        both["diversity"] == opened["diversity"]
        and opened["diversity"].value > 1.3 * closed["diversity"].value
    )
    assert both["alignment"].value > 0.85 and both["identity"].value > 0.85
    assert both["identity"].n == 2 * CONFIG.pictures and both["diversity"].n == CONFIG.pictures


@pytest.mark.parametrize("reads", [False, True])
def test_scenes_without_a_photograph_count_only_where_a_judge_can_align_them(tmp_path, reads):
    folder = make_inputs(tmp_path, **nia_the_photographer())["curated_kit"]
    kit = CuratedKit.read(folder)
    judges = JudgesConfig(clip=str(make_clip(tmp_path / "clip")) if reads else "")
    scorers = ReportScorers(
        kit,
        folder,
        BASE,
        size=128,
        judges=ConfiguredJudges(judges, kit, folder, questions=folder / "none.json"),
    )
    prompts = [
        *(Prompt(text=p.caption, reference=p.image) for p in kit.split("test")),
        Prompt(text="Nia on a train.", is_open=True),
    ]
    pixels = to_pixels(make_prior_images(6))
    metrics = scorers.measure(pixels, prompts)
    counted = {name: value.n for name, value in metrics.items()}
    assert counted == {"identity": 6, "alignment": 6 if reads else 4, "diversity": 2, "copying": 6}
    assert metrics["diversity"] == scorers.measure(pixels[4:], prompts[:1])["diversity"]
    assert reads or metrics["alignment"] == scorers.measure(pixels[:4], prompts[:2])["alignment"]


def test_faultless_pictures_show_what_is_named_and_differ_in_the_rest(inputs):
    kit = CuratedKit.read(inputs["curated_kit"])
    beach = Prompt(text="open", attributes={"background": "beach"}, is_open=True)

    def oracle(seed):
        images = oracle_images(kit, inputs["curated_kit"], beach, count=6, seed=seed)
        return [image.tobytes() for image in images]

    assert oracle(0) == oracle(0) != oracle(1)
    assert len(set(oracle(0))) == 6


def test_references_returned_for_other_scenes_are_copies_without_diversity(report_scorers, inputs):
    kit = CuratedKit.read(inputs["curated_kit"])
    train = [
        load_picture(inputs["curated_kit"] / picture.image, 128)
        for picture in kit.split("train")
        for _ in range(2)
    ]
    asked = [
        {name: next(v for v in values if v != p.attributes[name]) for name, values in SCENE.items()}
        for p in kit.split("train")
    ]
    metrics = report_scorers.measure(
        to_pixels(train), [Prompt(text="elsewhere", attributes=scene) for scene in asked]
    )
    assert metrics["copying"].value == 1 and metrics["diversity"].value < 1e-3


def test_a_reference_returned_for_its_own_scene_is_no_copy(report_scorers, inputs):
    kit = CuratedKit.read(inputs["curated_kit"])
    train = [
        load_picture(inputs["curated_kit"] / picture.image, 128)
        for picture in kit.split("train")
        for _ in range(2)
    ]
    metrics = report_scorers.measure(
        to_pixels(train), [Prompt(text=p.caption, attributes=p.attributes) for p in kit.split("train")]
    )
    assert metrics["copying"].value < 1


def test_role_play_is_measured_by_identity_and_alignment_only(report_scorers):
    album = make_album(2)
    metrics = report_scorers.measure(to_pixels(album.images), prompts_of(album), prefix="role_play_")
    assert metrics.keys() == {"role_play_identity", "role_play_alignment"}


def test_an_arm_is_sampled_and_measured(model, report_scorers):
    prompts = [
        dataclasses.replace(prompt, text=text)
        for prompt, text in zip(prompts_of(make_album(3)), PROMPTS, strict=True)
    ]
    found = measure_pictures(model, report_scorers, prompts, config=CONFIG, seed=0, arm="base")
    assert [len(group) for group in found.pictures] == [2, 2, 2]
    assert found.pictures[0][0].size == (128, 128)
    assert found.metrics["alignment"].n == 6


def test_an_arm_that_diverged_is_named_before_it_is_measured(model, report_scorers, monkeypatch):
    monkeypatch.setattr(
        type(model), "decode_latents", lambda self, latents: torch.full((6, 3, 128, 128), torch.nan)
    )
    with pytest.raises(
        ValueError, match=r"the arm grpo samples NaN: its training diverged; lower the learning rate"
    ):
        measure_pictures(model, report_scorers, prompts_of(make_album(3)), config=CONFIG, seed=0, arm="grpo")
    check_finite(torch.zeros(1, 3, 2, 2), "sft")
