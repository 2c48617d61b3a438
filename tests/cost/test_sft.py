"""FLOPs of SFT steps: both sides, validation, prior preservation."""

from dataclasses import replace

import pytest

from unichar.cost.sft import step_flops
from unichar.cost.sizes import bagel_sizes, nano_sizes
from unichar.cost.workload import ROLESCAPE, TOON
from unichar.model.nano.config import NanoConfig
from unichar.sft.config import SftConfig, SftValidationConfig

NANO = nano_sizes(NanoConfig())


def test_a_run_that_trains_one_side_costs_that_side():
    both = step_flops(NANO, TOON, SftConfig())
    text = step_flops(NANO, TOON, SftConfig(pictures=0))
    pictures = step_flops(NANO, TOON, SftConfig(conversations=0))
    assert text > 0 and pictures > 0 and text + pictures == pytest.approx(both)


def test_validation_is_counted():
    sizes = bagel_sizes(1024)
    validated = SftConfig(validation=SftValidationConfig(every=10))
    assert step_flops(sizes, ROLESCAPE, validated) > step_flops(sizes, ROLESCAPE, SftConfig())


def test_sampling_the_prior_preservation_images_is_counted():
    config = SftConfig(prior="base", prior_pictures=2)
    one, more = (step_flops(NANO, TOON, replace(config, prior_pool=pool)) for pool in (4, 64))
    assert more > one


def test_where_pictures_follow_the_text_their_prompts_are_trained_through():
    """Nano keeps contexts for the whole run; BAGEL reads prompts in each step, forward and backward."""
    sizes = bagel_sizes(512)
    config = SftConfig(conversations=0, prior_pictures=0)
    longer = replace(ROLESCAPE, prompt=ROLESCAPE.prompt + 100)
    grown = step_flops(sizes, longer, config) - step_flops(sizes, ROLESCAPE, config)
    read = 6 * 100 * 2 * 6.5e9
    assert grown > 2.5 * read
