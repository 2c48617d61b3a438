"""Pre-training of the generation expert: prompts, batches, optimizers, a real run."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from factories_small import SIZES, make_small_base, small_home
from factories_worlds import make_art

from unichar.domains.toon.vocabulary import random_identity, random_scene
from unichar.model.nano.expert import GenerationExpert, TextContext
from unichar.model.nano.vae import Vae
from unichar.pretrain.expert import (
    ExpertPhase,
    optimizers,
    run,
    sample_step,
    widen,
    write_drawn_prompt,
    write_prompt,
)
from unichar.pretrain.worlds import cache
from unichar.pretrain.worlds.batches import pixels_of
from unichar.training.curves import read_curve

PHASE = ExpertPhase(steps=2, captions=3, pictures=2)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """A cache of four drawn pictures of 32 pixels."""
    monkeypatch.setattr(cache, "SHARD", 4)
    cache.build_shard(tmp_path / "pictures", make_art(tmp_path / "art"), "drawn", 0, size=32)
    return cache.PictureCache(tmp_path / "pictures", "drawn", 1)


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    rng = random.Random(0)
    return [write_prompt(random_identity(rng), random_scene(rng), rng) for _ in range(400)]


def test_every_form_of_prompt_occurs(prompts):
    turns = [prompt for prompt in prompts if "Character Description" in prompt]
    empty = [prompt for prompt in prompts if not prompt]
    assert 0.14 < len(turns) / 400 < 0.26 and 0.02 < len(empty) / 400 < 0.09
    assert any("Generation Instruction" in prompt for prompt in turns)
    assert any("Generation Instruction" not in prompt for prompt in turns)


def test_a_drawn_picture_is_asked_for_in_every_form():
    facts = {
        "subject": "figure",
        "style": "moods",
        "variants": {"face": "circle"},
        "colors": {"face": "teal"},
        "mood": "winking",
        "labels": {"eyes": "wink", "mouth": "smile"},
        "place": "farm",
    }
    rng = random.Random(0)
    prompts = [write_drawn_prompt(facts, rng) for _ in range(300)]
    assert 0.02 < sum(not prompt for prompt in prompts) / 300 < 0.1
    assert any("Character Description" in prompt and "teal creature" in prompt for prompt in prompts)
    assert all("farm" in prompt for prompt in prompts if prompt)

    things = {"subject": "things", "things": ["owl"], "wall": "red", "place": ""}
    prompts = [write_drawn_prompt(things, rng) for _ in range(100)]
    assert all("owl" in prompt for prompt in prompts if prompt)


def test_pictures_of_a_prompt_are_adjacent():
    prompts, pictures, indices = sample_step(PHASE, None, 0, 64)
    assert len(prompts) == 3 and len(pictures) == 6 and indices == list(range(6))
    assert [len(prompt) for prompt in prompts] == sorted(len(prompt) for prompt in prompts)
    pixels = pixels_of(np.stack(pictures))
    within = (pixels[0] - pixels[1]).abs().mean()
    between = (pixels[0] - pixels[2]).abs().mean()
    assert 0 < within < between


def test_a_share_of_the_captions_is_of_drawn_pictures(drawn):
    phase = dataclasses.replace(PHASE, captions=5, drawn=0.6, drawn_shards=1)
    prompts, pictures, indices = sample_step(phase, drawn, 0, 32)
    assert len(prompts) == 5 and len(pictures) == 3 + 2 * 2
    assert len(indices) == 10 and [indices.count(i) for i in range(7)].count(2) == 3  # drawn ones twice

    cached = {drawn.picture(index).tobytes() for index in range(len(drawn))}
    assert sum(picture.tobytes() in cached for picture in pictures) == 3


def test_a_wider_expert_predicts_what_the_narrow_one_did():
    torch.manual_seed(0)
    first = GenerationExpert(SIZES)
    torch.nn.init.normal_(first.latent_out.weight, std=0.1)
    wide_sizes = dataclasses.replace(SIZES, latent_channels=12)
    wide = GenerationExpert(wide_sizes)
    widen(wide, first)

    # New channels change what goes in, so they are empty here.
    side, kv = SIZES.latent_side, (1, SIZES.kv_heads, 3, SIZES.head_dim)
    keys = tuple(torch.randn(kv) for _ in SIZES.attached)
    context = TextContext(keys, keys, torch.ones(1, 3, dtype=torch.bool))
    latents = torch.cat([torch.randn(1, 8, side, side), torch.zeros(1, 4, side, side)], dim=1)
    with torch.no_grad():
        expected = first(latents[:, :8], torch.tensor([0.3]), context)
        found = wide(latents, torch.tensor([0.3]), context)
    assert torch.allclose(found[:, :8], expected, atol=1e-5) and not found[:, 8:].any()


def test_muon_has_the_layers_matrices_and_adamw_the_rest():
    expert = GenerationExpert(SIZES)
    made = optimizers(expert, 1e-3)
    muon = {id(p) for group in made["muon"].param_groups for p in group["params"]}
    adamw = {id(p) for group in made["adamw"].param_groups for p in group["params"]}
    assert not muon & adamw and muon | adamw == {id(p) for p in expert.parameters()}
    assert id(expert.layers[0].q_proj.weight) in muon and id(expert.latent_in.weight) in adamw


def test_a_run_trains_and_resumes_where_it_was(tmp_path, drawn):
    base = make_small_base(tmp_path / "base")
    torch.manual_seed(0)
    vae = Vae(SIZES.vae_widths, SIZES.decoder_blocks).eval().requires_grad_(False)
    with small_home(base):
        trained, again = (
            run(GenerationExpert(SIZES), PHASE, SIZES, vae, tmp_path / "expert", key="k", drawn=drawn)
            for _ in range(2)
        )
    assert trained.latent_out.weight.any()  # zero at first
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))
    assert "loss" in read_curve(tmp_path / "expert" / "curve.jsonl")[-1]
