"""The cost estimate of a preset: its numbers, the table, the JSON, and arguments that are refused."""

import dataclasses
import json

import pytest
from factories_config import replaced

from unichar.__main__ import main
from unichar.cost.estimate import H100, TWO_CORES, Device, estimate_cost, table
from unichar.cost.workload import ROLESCAPE, TOON
from unichar.presets import bagel, cpu


@pytest.fixture(scope="module")
def numbers():
    return estimate_cost(bagel(), ROLESCAPE, mfu=0.35, device=H100)


def hours(numbers, kind="lora"):
    return {stage: row["hours"] for stage, row in numbers["stages"][kind].items()}


def test_a_character_on_bagel_trains_within_the_goal(numbers):
    used = hours(numbers)
    assert used["sft"] + used["grpo"] <= numbers["paper"]["goal_hours"] == 10
    assert all(value > 0 for value in used.values())


def test_the_papers_settings_come_out_as_the_paper_says(numbers):
    counted = numbers["paper"]["sft_hours"] + numbers["paper"]["grpo_hours"]
    assert counted == pytest.approx(numbers["paper"]["stated_hours"], rel=0.2)


def test_full_tuning_costs_more_in_every_way(numbers):
    assert numbers["trainable"]["full"] > 50 * numbers["trainable"]["lora"]
    assert all(hours(numbers, "full")[stage] > hours(numbers)[stage] for stage in ("sft", "grpo"))
    for lora, full in zip(numbers["memory"]["lora"], numbers["memory"]["full"], strict=True):
        assert full["total"] > lora["total"]


def test_more_gpus_need_less_memory_each(numbers):
    for rows in numbers["memory"].values():
        assert [row["gpus"] for row in rows] == [1, 4, 8]
        for name in ("weights", "gradients", "optimizer"):
            assert rows[0][name] == pytest.approx(8 * rows[2][name])
    assert [row["fits"] for row in numbers["memory"]["lora"]] == [True, True, True]
    assert not numbers["memory"]["full"][0]["fits"]


def test_hours_follow_peak_and_share(numbers):
    slower = estimate_cost(
        bagel(), ROLESCAPE, mfu=0.175, device=Device(name="x", peak=H100.peak, memory=H100.memory)
    )
    assert hours(slower)["sft"] == pytest.approx(2 * hours(numbers)["sft"])
    assert slower["stages"]["lora"]["sft"]["flops"] == numbers["stages"]["lora"]["sft"]["flops"]


def test_twice_the_pictures_are_nearly_twice_the_flops():
    usual, double = bagel(), dataclasses.replace(bagel(), sft=dataclasses.replace(bagel().sft, pictures=48))
    one, two = (
        estimate_cost(p, ROLESCAPE, mfu=0.35, device=H100)["stages"]["lora"]["sft"]["flops"]
        for p in (usual, double)
    )
    assert 1.8 < two / one < 2


def test_flow_grpo_with_guidance_costs_more_than_nft():
    usual = bagel()
    flow = replaced(usual, grpo={"algorithm": "flow_grpo", "flow_grpo": {"guidance": 4.0}})
    assert (
        hours(estimate_cost(flow, ROLESCAPE, mfu=0.35, device=H100))["grpo"]
        > 1.5 * hours(estimate_cost(usual, ROLESCAPE, mfu=0.35, device=H100))["grpo"]
    )


def test_nano_is_estimated_for_two_cores():
    numbers = estimate_cost(cpu(), TOON, mfu=0.35, device=TWO_CORES)
    assert numbers["paper"] is None and numbers["model"] == "nano"
    assert len(numbers["memory"]["lora"]) == 1 and numbers["memory"]["lora"][0]["fits"]
    assert sum(hours(numbers).values()) < 0.5


def test_the_table_has_parameters_memory_and_hours(numbers):
    text = table(numbers)
    for expected in (
        "6.53 B",
        "14.69 B",
        "does not fit",
        "GRPO round, adapters",
        "goal: at most 10, met",
        "about 100 GPU hours",
    ):
        assert expected in text
    assert max(len(line) for line in text.splitlines()) <= 130


def test_the_json_has_the_numbers(capsys):
    assert main(["plan", "--preset", "smoke", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["preset"] == "smoke"


def test_a_character_without_interactions_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path))
    assert main(["plan", "--preset", "smoke", "--character", "nobody"]) == 1
    assert "nobody has no interactions yet" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--mfu", "0"], ["--mfu", "1.5"], ["--peak", "-3"]])
def test_numbers_out_of_range_are_one_message(flags, capsys):
    assert main(["plan", "--preset", "smoke", *flags]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: mfu is ") and said.err.count("\n") == 1
