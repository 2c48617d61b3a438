"""Judges by name: addresses without secrets, and never the same network for reward and report."""

import dataclasses

import pytest
from factories_config import replaced

from unichar.judges.config import JudgesConfig
from unichar.presets import bagel, cpu

VARIABLES = {
    "UNICHAR_CLIP": "/c",
    "UNICHAR_DINO": "/d",
    "UNICHAR_ENDPOINT": "http://gpu:8000/v1",
    "UNICHAR_ENDPOINT_MODEL": "qwen",
}


def test_without_being_told_there_are_none(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for preset in (cpu(), bagel()):
        assert preset.grpo.reward.judges == preset.evaluation.judges == JudgesConfig()


def test_the_environment_gives_clip_to_the_reward_and_the_rest_to_the_report(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    preset = bagel()
    assert preset.grpo.reward.judges == JudgesConfig(clip="/c")
    assert preset.evaluation.judges == JudgesConfig(
        dino="/d", endpoint="http://gpu:8000/v1", endpoint_model="qwen"
    )
    assert cpu().grpo.reward.judges == cpu().evaluation.judges == JudgesConfig()


@pytest.mark.parametrize(
    "shared", [{"clip": "/c"}, {"dino": "/d"}, {"endpoint": "http://gpu:8000/v1", "endpoint_model": "qwen"}]
)
def test_one_network_does_not_reward_and_report(shared):
    preset = cpu()
    judges = JudgesConfig(**shared)
    both = {
        "grpo": replaced(preset.grpo, reward={"judges": judges}),
        "evaluation": replaced(preset.evaluation, judges=judges),
    }
    with pytest.raises(ValueError, match=r"lets (/c|/d|qwen) both give rewards and judge the report"):
        dataclasses.replace(preset, **both)
    dataclasses.replace(preset, grpo=both["grpo"])


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8000/v1", "https://judge.example", "http://[::1]:8000/v1/"],
)
def test_addresses(address):
    assert JudgesConfig(endpoint=address, endpoint_model="m").endpoint == address


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://host/v1", "http://", "localhost"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="expected http"):
        JudgesConfig(endpoint=address, endpoint_model="m")


@pytest.mark.parametrize(
    "address",
    ["http://me:hush@host/v1", "http://hush@host/v1", "http://host/v1?key=hush", "http://h/v1#hush"],
)
def test_an_address_holds_no_secret_and_the_refusal_does_not_repeat_it(address):
    with pytest.raises(ValueError, match="UNICHAR_ENDPOINT_KEY") as caught:
        JudgesConfig(endpoint=address, endpoint_model="m")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("half", [{"endpoint": "http://host/v1"}, {"endpoint_model": "m"}])
def test_half_an_endpoint_is_refused(half):
    with pytest.raises(ValueError, match="expected both or neither"):
        JudgesConfig(**half)
