"""Lengths of real interactions, and the FLOPs of passes over mean lengths."""

import pytest

from unichar.cost.sft import step_flops
from unichar.cost.sizes import bagel_sizes, nano_sizes
from unichar.cost.workload import _sampler_times, measured_texts, sampling_flops
from unichar.model.flow import time_grid
from unichar.model.nano.config import NanoConfig
from unichar.sft.config import SftConfig
from unichar.types import read_interactions


def test_lengths_are_those_of_the_tokenizer_within_a_fifth(model, inputs):
    items = read_interactions(inputs["interactions"] / "train.jsonl")
    texts = measured_texts(items)
    plain = [
        len(model.tokenizer(item.prompt)["input_ids"])
        for item in items
        if item.kind == "portrait" and item.form == "plain"
    ]
    assert texts.plain == pytest.approx(sum(plain) / len(plain), rel=0.2)
    assert texts.portraits == sum(item.kind == "portrait" for item in items)
    assert set(texts.conversations) == {item.kind for item in items} - {"portrait"}
    assert (
        texts.conversations["visual_qa"].pictures == 1 and texts.conversations["knowledge_qa"].pictures == 0
    )
    assert all(0 < lengths.targets < lengths.tokens for lengths in texts.conversations.values())


def test_kinds_that_do_not_occur_cost_nothing(inputs):
    """A finished training must not fail over its cost."""
    items = read_interactions(inputs["interactions"] / "train.jsonl")
    conversations = [item for item in items if item.kind != "portrait"]
    portraits = [item for item in items if item.kind == "portrait"]
    sizes = nano_sizes(NanoConfig())
    for some in (conversations, portraits, []):
        assert step_flops(sizes, measured_texts(some), SftConfig()) > 0
    assert measured_texts(conversations).prompt == 0
    assert not measured_texts(portraits).conversations


def test_times_are_the_samplers(model):
    assert _sampler_times(7, 3.0) == pytest.approx(time_grid(7, 3.0)[:-1].tolist(), abs=1e-6)


def test_guidance_costs_only_where_it_applies():
    """BAGEL is guided above t = 0.4 alone, nano always."""
    settings = {"pictures": 4, "prompts": 1, "context": 40, "steps": 10, "shift": 1.0}
    for sizes, acting in ((bagel_sizes(1024), 6), (nano_sizes(NanoConfig()), 10)):
        plain, guided = (sampling_flops(sizes, guidance=guidance, **settings) for guidance in (1.0, 4.0))
        assert (guided - plain) / plain == pytest.approx(acting / 10, rel=0.3)
