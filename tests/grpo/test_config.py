"""Settings that can not work are refused in words."""

import pytest

from unichar.grpo.config import GrpoConfig


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rounds": 0}, "rounds is 0; expected 1 or more"),
        ({"validation_every": 0}, "validation_every is 0"),
        ({"accumulate": 0}, "accumulate is 0; expected 1 or more"),
        ({"group": 1}, "group is 1; expected 2 or more, advantages compare pictures of one prompt"),
        ({"beta": 0.0}, "beta is 0.0; expected a positive number"),
        ({"noise_level": -1.0}, "noise_level is -1.0; expected a positive number"),
        ({"algorithm": "ppo"}, "algorithm is 'ppo'; expected nft or flow_grpo"),
        ({"keep": "first"}, "keep is 'first'; expected best or last"),
        (
            {"algorithm": "flow_grpo", "window": 5, "sample_steps": 4},
            r"window is 5; expected at most sample_steps \(4\)",
        ),
    ],
)
def test_wrong_settings(wrong, words):
    with pytest.raises(ValueError, match=words):
        GrpoConfig(**wrong)


def test_photographs_are_learned_from_with_a_beta_of_their_own():
    config = GrpoConfig(beta=0.2, photo_beta=0.7)
    assert config.for_kind(toons=True) == config
    assert config.for_kind(toons=False) == GrpoConfig(beta=0.7, photo_beta=0.7)
