"""Memory per GPU: what is counted on fake tensors at real size, sharding, microbatches, 4-bit weights."""

import importlib.util
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from unichar.cost.cards import CARDS, loaded_model
from unichar.cost.memory import (
    Loaded,
    Memory,
    drawing_memory,
    fewest_microbatches,
    fits,
    grpo_memory,
    most_microbatches,
    sft_memory,
)
from unichar.cost.sizes import bagel_sizes, sizes_of
from unichar.cost.workload import ROLESCAPE, ConversationLengths
from unichar.presets import bagel

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("count_memory", ROOT / "tools" / "count_memory.py")
assert SPEC is not None and SPEC.loader is not None
count = importlib.util.module_from_spec(SPEC)
sys.modules["count_memory"] = count
SPEC.loader.exec_module(count)

PRESET = bagel()
LAYERS = 2
"""Of BAGEL's 28: what a pass keeps is proportional to them, and its peak lies within one."""


@cache
def bagel_of(size: int = 1024, *, full: bool = False, quantize: str = "") -> Loaded:
    sizes, parameters = sizes_of("bagel", size)
    return loaded_model(PRESET, sizes, parameters, full=full, quantize=quantize)


LOADED = bagel_of()


def sft(loaded: Loaded = LOADED, *, gpus: int = 1, microbatches: int = 1, **changes: object) -> Memory:
    config = replace(PRESET.sft, **changes)
    return sft_memory(loaded, ROLESCAPE, config, ranks=gpus, shards=gpus, microbatches=microbatches)


def grpo(loaded: Loaded = LOADED, *, gpus: int = 1, microbatches: int = 1) -> Memory:
    return grpo_memory(loaded, ROLESCAPE, PRESET.grpo, ranks=gpus, shards=gpus, microbatches=microbatches)


def thin(size: int) -> Loaded:
    """BAGEL with few layers, as it is counted."""
    loaded = bagel_of(size)
    sizes = loaded.sizes
    return replace(
        loaded,
        sizes=replace(sizes, text=replace(sizes.text, layers=LAYERS), gen=replace(sizes.gen, layers=LAYERS)),
    )


@pytest.fixture(scope="module", params=[512, 1024])
def counted(request):
    """(side of the pictures, fake model)."""
    with count.fake_bagel(size=request.param, layers=LAYERS) as model:
        yield request.param, model


@pytest.mark.parametrize("pictures", [1, 2, 6, 12, 24])
def test_a_pass_over_pictures_takes_what_fake_tensors_take(counted, pictures):
    size, model = counted
    real = count.image_pass(model, pictures=pictures, prompts=min(pictures, 6), context=ROLESCAPE.prompt)
    planned = sft(thin(size), pictures=pictures, prompts=min(pictures, 6), conversations=0, prior_pictures=0)
    assert planned.activations == pytest.approx(real.peak, rel=0.1)


def test_pictures_are_drawn_in_what_fake_tensors_take(counted):
    size, model = counted
    drawn = count.drawing(model, pictures=thin(size).sizes.drawn, context=ROLESCAPE.plain)
    decoded = count.decoding(model)
    assert thin(size).sizes.decoding == pytest.approx(decoded.peak, rel=0.1)
    assert drawing_memory(thin(size)).activations == pytest.approx(max(drawn.peak, decoded.peak), rel=0.1)


@pytest.mark.parametrize(("tokens", "targets", "number"), [(418, 224, 3), (4937, 14, 1), (2000, 1500, 2)])
def test_a_pass_over_conversations_takes_what_fake_tensors_take(counted, tokens, targets, number):
    size, model = counted
    real = count.text_pass(model, lengths=[tokens] * number, targets=number * targets)
    texts = replace(
        ROLESCAPE, conversations={"role_play": ConversationLengths(tokens=tokens, targets=targets)}
    )
    config = replace(PRESET.sft, conversations=number, pictures=0, prior_pictures=0)
    planned = sft_memory(thin(size), texts, config, ranks=1, shards=1, microbatches=1)
    assert planned.activations == pytest.approx(real.peak, rel=0.1)


def test_the_total_is_the_sum_of_the_parts():
    made = grpo(gpus=4)
    parts = made.weights + made.gradients + made.optimizer + made.copies
    assert made.total == pytest.approx(parts + made.gathered + made.activations)


def test_sharding_divides_layers_and_what_is_trained():
    one, four = sft(), sft(gpus=4)
    assert one.optimizer == 4 * four.optimizer
    assert one.gathered == 0 < four.gathered

    # Embeddings, tower and autoencoder stay whole on every GPU: 3.2 GB.
    whole = (4 * four.weights - one.weights) / 3
    assert whole == pytest.approx(3.3e9, rel=0.05)


def test_frozen_weights_are_bf16_or_four_bits_and_trained_ones_fp32():
    adapters = sum(LOADED.adapters.values())
    assert sft().weights == pytest.approx(2 * LOADED.parameters + 4 * adapters)
    assert sft(bagel_of(full=True)).weights == pytest.approx(4 * 14.61e9, rel=0.01)

    # 13.05 billion weights at 4.5 bits, the rest at 16.
    four_bits = sft(bagel_of(quantize="nf4")).weights - 4 * adapters
    assert four_bits == pytest.approx(13.05e9 * 4.5 / 8 + 1.64e9 * 2, rel=0.01)
    assert sft(bagel_of(quantize="nf4-double")).weights < sft(bagel_of(quantize="nf4")).weights


def test_the_fullest_microbatch_counts():
    halves, thirds, whole = (sft(microbatches=number).activations for number in (2, 3, 1))
    assert whole == pytest.approx(2 * halves, rel=0.02)
    assert whole == pytest.approx(3 * thirds, rel=0.02)
    assert sft(microbatches=13).activations == pytest.approx(sft(microbatches=12).activations, rel=0.02)


def test_the_fewest_microbatches_that_fit():
    enough = sft(microbatches=2).total / 0.9
    assert fewest_microbatches(lambda n: sft(microbatches=n), most=24, card=enough)[0] == 2
    most, too_large = fewest_microbatches(lambda n: sft(microbatches=n), most=24, card=1.0)
    assert most == most_microbatches(PRESET.sft, 1) == 24 and not fits(too_large, 1.0)
    assert most_microbatches(PRESET.grpo, 4) == 12


def test_the_presets_fit_the_card_they_are_for():
    small = bagel_of(512, quantize="nf4")
    for memory, config in ((sft, PRESET.sft), (grpo, PRESET.grpo)):
        for loaded, card in ((small, CARDS[0]), (LOADED, CARDS[2])):
            _, found = fewest_microbatches(
                lambda n, loaded=loaded, memory=memory: memory(loaded, microbatches=n),
                most=most_microbatches(config, 1),
                card=card.memory,
            )
            assert fits(found, card.memory)
            assert loaded is LOADED or found.total <= 22e9


def test_checkpointing_saves_activations():
    kept = replace(LOADED, sizes=replace(bagel_sizes(1024), recompute=False))
    assert sft(kept).activations > 3 * sft().activations


def test_policies_of_grpo_are_copies_of_the_picture_adapters():
    assert grpo().copies == 4 * 4 * LOADED.adapters["gen"]
    flow = replace(PRESET.grpo, algorithm="flow_grpo")
    made = grpo_memory(LOADED, ROLESCAPE, flow, ranks=1, shards=1, microbatches=4)
    assert made.copies == 3 * 4 * LOADED.adapters["gen"]


def test_guidance_in_training_keeps_two_graphs():
    flow = replace(PRESET.grpo, algorithm="flow_grpo")
    guided = replace(flow, flow_grpo=replace(flow.flow_grpo, guidance=4.0))
    one, two = (
        grpo_memory(LOADED, ROLESCAPE, config, ranks=1, shards=1, microbatches=4).activations
        for config in (flow, guided)
    )
    assert 1.3 < two / one < 1.6
