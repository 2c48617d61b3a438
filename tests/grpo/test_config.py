"""Settings that cannot work are refused with the path of the setting."""

import dataclasses

import pytest
from factories_config import replaced

from unichar.domains.lookup import DOMAINS
from unichar.grpo.config import GrpoConfig, NftConfig


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rounds": 0}, "GrpoConfig.rounds is 0; expected 1 or more"),
        ({"validation": {"every": 0}}, "GrpoConfig.validation.every is 0"),
        (
            {"rollout": {"microbatches": -1}},
            "rollout.microbatches is -1; expected 1 or more, or 0 for as few as",
        ),
        (
            {"rollout": {"group": 1}},
            "GrpoConfig.rollout.group is 1; expected 2 or more, advantages compare pictures of one prompt",
        ),
        ({"nft": {"beta": 0.0}}, "GrpoConfig.nft.beta is 0.0; expected a positive number"),
        ({"flow_grpo": {"noise_level": -1.0}}, "flow_grpo.noise_level is -1.0; expected a positive number"),
        ({"algorithm": "ppo"}, "GrpoConfig.algorithm is 'ppo'; expected nft or flow_grpo"),
        ({"lr_decay": 1.5}, "GrpoConfig.lr_decay is 1.5; expected a fraction from 0 to 1"),
        ({"validation": {"keep": "first"}}, "GrpoConfig.validation.keep is 'first'; expected best or last"),
        ({"text": {"rounds": 1, "group": 1}}, "GrpoConfig.text.group is 1; expected 2 or more"),
        (
            {"algorithm": "flow_grpo", "flow_grpo": {"window": 5}, "rollout": {"sample_steps": 4}},
            r"GrpoConfig.flow_grpo.window is 5; expected at most rollout.sample_steps \(4\)",
        ),
    ],
)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):
        replaced(GrpoConfig(), **wrong)


def test_photographs_have_their_own_beta():
    nft = NftConfig(beta=0.2, domain_beta={"photo": 0.7})
    config = GrpoConfig(nft=nft)
    assert config.for_domain(DOMAINS["toon"]) == config
    assert config.for_domain(DOMAINS["photo"]).nft == dataclasses.replace(nft, beta=0.7)
