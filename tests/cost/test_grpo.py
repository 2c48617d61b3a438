"""FLOPs of GRPO rounds: validation, the KL term, multimodal turns."""

from dataclasses import replace

from unichar.cost.grpo import round_flops, text_round_flops
from unichar.cost.sizes import bagel_sizes
from unichar.cost.workload import ROLESCAPE
from unichar.grpo.config import GrpoConfig, TextRlConfig, ValidationConfig

SIZES = bagel_sizes(1024)


def flops(config: GrpoConfig) -> float:
    return round_flops(SIZES, ROLESCAPE, config, gen_rank=16)


def test_validation_is_counted():
    often, seldom = (GrpoConfig(validation=ValidationConfig(every=every)) for every in (1, 14))
    assert flops(often) > flops(seldom)


def test_a_kl_term_costs_a_pass_of_the_reference():
    usual = GrpoConfig()
    with_kl, without = (replace(usual, nft=replace(usual.nft, kl=kl)) for kl in (0.1, 0.0))
    assert flops(with_kl) > flops(without)


def test_prompts_of_multimodal_turns_are_longer():
    usual = GrpoConfig()
    longer, plain = (
        replace(usual, reward=replace(usual.reward, consistency_weight=weight)) for weight in (1.0, 0.0)
    )
    assert flops(longer) > flops(plain)


def test_guidance_of_rollouts_and_of_validation_is_counted():
    usual = GrpoConfig()
    rollout = replace(usual, rollout=replace(usual.rollout, guidance=4.0))
    unguided = replace(usual, validation=replace(usual.validation, guidance=1.0))
    assert flops(unguided) < flops(usual) < flops(rollout)


def test_the_last_round_is_validated_in_any_case():
    per_run = []
    for every in (4, 3, 100):
        config = GrpoConfig(rounds=4, validation=ValidationConfig(every=every))
        per_run.append(4 * flops(config))
    four, three, never = per_run
    assert three - four > 0 and never == four


def test_longer_replies_cost_more():
    short, long = (
        text_round_flops(
            SIZES, ROLESCAPE, GrpoConfig(text=TextRlConfig(rounds=1, max_tokens=tokens)), und_rank=16
        )
        for tokens in (20, 40)
    )
    assert 0 < short < long
