"""Microbatches chosen for the card at hand, and the message where its memory does not suffice."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from factories_config import replaced

from unichar.cost import fit
from unichar.cost.cards import CARDS
from unichar.cost.fit import CardTooSmall, choose_microbatches, chosen_microbatches, out_of_memory_explained
from unichar.cost.sizes import BAGEL_7B, bagel_parameters, bagel_sizes
from unichar.presets import bagel, get_preset
from unichar.types import LoadConfig, StageJob

ASKED = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 23.99 GiB of which 1 GiB "
    "is free.\nSee documentation for Memory Management"
)


@pytest.fixture
def on_card(monkeypatch):
    """Sets the memory of the card; the base is BAGEL-7B-MoT by its sizes."""
    monkeypatch.setattr(fit, "base_sizes", lambda base, size: bagel_sizes(size or 1024))
    monkeypatch.setattr(fit, "base_parameters", lambda base: bagel_parameters(BAGEL_7B))
    monkeypatch.setattr(fit, "saved_rank", lambda folder: 64 if folder.name == "gen" else 16)
    return lambda memory: monkeypatch.setattr(fit, "card_memory", lambda: memory)


def job_of(preset_name: str, stage: str, sft_job: StageJob, folder: Path) -> StageJob:
    preset = get_preset(preset_name)
    return replace(
        sft_job,
        config=getattr(preset, stage),
        inputs=sft_job.inputs | {"sft_checkpoint": folder},
        base=folder,
        load=preset.load,
        preset=preset_name,
    )


def number(job: StageJob) -> int:
    config = job.config
    return config.microbatches if hasattr(config, "microbatches") else config.rollout.microbatches


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_larger_cards_take_fewer_microbatches(stage, on_card, sft_job, tmp_path):
    chosen = []
    for card in CARDS[1:]:
        on_card(card.memory)
        job = job_of("bagel", stage, sft_job, tmp_path)
        fitted = choose_microbatches(job)
        assert chosen_microbatches(job, fitted) == {"microbatches": number(fitted)}
        chosen.append(number(fitted))
    assert chosen == sorted(chosen, reverse=True) and chosen[0] > chosen[-1] >= 1


def test_nothing_else_changes_and_a_set_number_stays(on_card, sft_job, tmp_path):
    on_card(80e9)
    job = job_of("bagel", "sft", sft_job, tmp_path)
    fitted = choose_microbatches(job)
    assert replace(fitted, config=replace(fitted.config, microbatches=0)) == job

    five = replace(job, config=replace(job.config, microbatches=5))
    assert choose_microbatches(five) is five and chosen_microbatches(five, five) == {}
    assert choose_microbatches(sft_job) is sft_job


def test_on_the_cpu_it_is_one(sft_job, tmp_path):
    assert number(choose_microbatches(job_of("bagel", "sft", sft_job, tmp_path))) == 1
    assert number(choose_microbatches(job_of("bagel", "grpo", sft_job, tmp_path))) == 1


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_card_that_is_too_small_is_refused_before_anything_is_loaded(stage, on_card, sft_job, tmp_path):
    on_card(24e9)
    with pytest.raises(CardTooSmall, match=r"takes 3\d GB even with one picture .* has 24 GB: .*bagel-24gb"):
        choose_microbatches(job_of("bagel", stage, sft_job, tmp_path))
    choose_microbatches(job_of("bagel-24gb", stage, sft_job, tmp_path))


@pytest.mark.parametrize(
    ("stage", "field"), [("sft", "SftConfig.microbatches"), ("grpo", "GrpoConfig.rollout.microbatches")]
)
def test_out_of_memory_names_the_setting_and_a_larger_number(stage, field, on_card, sft_job, tmp_path):
    on_card(80e9)
    job = choose_microbatches(job_of("bagel", stage, sft_job, tmp_path))
    with pytest.raises(CardTooSmall) as raised, out_of_memory_explained(stage, job):
        raise torch.OutOfMemoryError(ASKED)

    said = str(raised.value)
    assert said.startswith(
        f"{stage} ran out of GPU memory (Tried to allocate 2.50 GiB): set {field} of the preset"
    )
    assert f"to {number(job) + 1}; it was {number(job)}. By the plan it takes" in said
    assert said.endswith("the card has 80 GB") and "\n" not in said and raised.value.exit_code == 1


def test_out_of_memory_with_one_picture_at_a_time_names_the_weights(on_card, sft_job, tmp_path):
    on_card(48e9)
    job = job_of("bagel", "sft", sft_job, tmp_path)
    most = replace(job, config=replace(job.config, microbatches=24))
    with (
        pytest.raises(CardTooSmall, match=r"set load.quantize of the preset bagel .* to 'nf4'; it was ''"),
        out_of_memory_explained("sft", most),
    ):
        raise torch.OutOfMemoryError(ASKED)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (LoadConfig(), "evaluate ran out of GPU memory .*: set load.quantize of the preset bagel"),
        (LoadConfig(quantize="nf4", image_size=512), r"set kit.size and load.image_size .* below 512"),
    ],
)
def test_out_of_memory_in_a_report(load, message, on_card, sft_job, tmp_path):
    on_card(24e9)
    job = replace(job_of("bagel", "evaluation", sft_job, tmp_path), load=load)
    with pytest.raises(CardTooSmall, match=message), out_of_memory_explained("evaluate", job):
        raise torch.OutOfMemoryError(ASKED)


def test_out_of_memory_with_nano_is_somebody_elses(sft_job, monkeypatch):
    monkeypatch.setattr(fit, "card_memory", lambda: 8e9)
    config = replaced(sft_job.config, microbatches=4, pictures=4)
    with (
        pytest.raises(CardTooSmall, match="nano takes little of a card of 8 GB: end other processes"),
        out_of_memory_explained("sft", replace(sft_job, config=config)),
    ):
        raise torch.OutOfMemoryError(ASKED)


def test_other_errors_pass(sft_job):
    with pytest.raises(RuntimeError, match="no kernel"), out_of_memory_explained("sft", sft_job):
        raise RuntimeError("no kernel")


def test_the_plan_of_a_preset_is_what_a_run_chooses(on_card, sft_job, tmp_path):
    """With the lengths of this character's texts in both."""
    from unichar.cost.cards import fitted, loaded_model
    from unichar.cost.sizes import sizes_of
    from unichar.cost.workload import measured_texts
    from unichar.types import read_interactions

    texts = measured_texts(read_interactions(sft_job.inputs["interactions"] / "train.jsonl"))
    loaded = loaded_model(bagel(), *sizes_of("bagel", 1024), full=False, quantize="")
    planned = fitted(bagel(), loaded, texts, gpus=1, card=80e9)
    on_card(80e9)
    for stage in ("sft", "grpo"):
        assert number(choose_microbatches(job_of("bagel", stage, sft_job, tmp_path))) == planned[stage][0]


@pytest.mark.parametrize(("ranks", "expected"), [(1, 48e9), (2, 8e9)])
def test_the_card_is_this_process_s_own_and_of_several_ranks_the_smallest(ranks, expected, monkeypatch):
    cards = [SimpleNamespace(total_memory=memory) for memory in (8e9, 48e9)]
    monkeypatch.setattr(fit, "local_device", lambda: torch.device("cuda", 1))
    monkeypatch.setattr(fit, "world_size", lambda: ranks)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda card: cards[card])
    assert fit.card_memory() == expected
