"""Lengths of real interactions, and what mean lengths cost."""

import pytest

from unichar.cost.grpo import round_flops
from unichar.cost.sft import step_flops
from unichar.cost.sizes import bagel_sizes, nano_sizes
from unichar.cost.workload import ROLESCAPE, TOON, _times_of, measured_texts, sampling
from unichar.grpo.config import GrpoConfig, ValidationConfig
from unichar.model.flow import time_grid
from unichar.model.nano.config import NanoConfig
from unichar.sft.config import SftConfig, SftValidationConfig
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
    assert set(texts.talks) == {item.kind for item in items} - {"portrait"}
    assert texts.talks["visual_qa"].pictures == 1 and texts.talks["knowledge_qa"].pictures == 0
    assert all(0 < talk.targets < talk.tokens for talk in texts.talks.values())


def test_what_is_not_there_costs_nothing(inputs):
    """A finished training must not fail over its cost."""
    items = read_interactions(inputs["interactions"] / "train.jsonl")
    talks, portraits = (
        [item for item in items if (item.kind == "portrait") == wanted] for wanted in (False, True)
    )
    sizes = nano_sizes(NanoConfig())
    for some in (talks, portraits, []):
        assert step_flops(sizes, measured_texts(some), SftConfig()) > 0
    assert measured_texts(talks).prompt == 0 and not measured_texts(portraits).talks


def test_times_are_the_samplers(model):
    assert _times_of(7, 3.0) == pytest.approx(time_grid(7, 3.0)[:-1].tolist(), abs=1e-6)


def test_guidance_costs_only_where_it_acts():
    """BAGEL is guided above t = 0.4 alone, nano always."""
    settings = {"pictures": 4, "prompts": 1, "context": 40, "steps": 10, "shift": 1.0}
    for sizes, acting in ((bagel_sizes(1024), 6), (nano_sizes(NanoConfig()), 10)):
        plain, guided = (sampling(sizes, guidance=guidance, **settings) for guidance in (1.0, 4.0))
        assert (guided - plain) / plain == pytest.approx(acting / 10, rel=0.3)


def test_a_run_that_learns_one_side_costs_that_side():
    sizes, config = nano_sizes(NanoConfig()), SftConfig()
    both = step_flops(sizes, TOON, config)
    text = step_flops(sizes, TOON, SftConfig(pictures=0))
    pictures = step_flops(sizes, TOON, SftConfig(conversations=0))
    assert text > 0 and pictures > 0 and text + pictures == pytest.approx(both)


def test_looks_are_counted():
    sizes = bagel_sizes(1024)
    assert step_flops(sizes, ROLESCAPE, SftConfig(validation=SftValidationConfig(every=10))) > step_flops(
        sizes, ROLESCAPE, SftConfig()
    )
    often, seldom = (
        round_flops(sizes, ROLESCAPE, GrpoConfig(validation=ValidationConfig(every=every)), gen_rank=16)
        for every in (1, 14)
    )
    assert often > seldom
