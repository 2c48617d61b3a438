"""Sizes of BAGEL; test_weights.py has the messages about files."""

import pytest
from factories_bagel import LLM, PUBLISHED_LLM, PUBLISHED_VIT, VIT, make_config

from unichar.errors import UserError


def test_the_published_sizes():
    config = make_config(PUBLISHED_LLM, PUBLISHED_VIT)
    assert config.text.head_size == 128
    assert (config.vision.used_layers, config.vision.side) == (26, 70)


@pytest.mark.parametrize(
    ("llm", "vit", "message"),
    [
        ({"hidden_size": 66}, {}, "hidden_size is 66, expected a multiple of 4"),
        ({"num_hidden_layers": 0}, {}, "num_hidden_layers is 0, expected more than 0"),
        ({}, {"num_hidden_layers": 1}, "num_hidden_layers is 1, expected 2 or more"),
        ({}, {"hidden_size": 50}, "hidden_size is 50, expected a multiple of 3"),
    ],
)
def test_impossible_sizes_are_refused(llm, vit, message):
    with pytest.raises(UserError, match=message):
        make_config(LLM | llm, VIT | vit)
