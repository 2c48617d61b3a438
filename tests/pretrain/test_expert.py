"""Pre-training of the generation expert: prompts, batches, optimizers, a real run."""

import random

import pytest
import torch
from factories_small import SIZES, make_small_base, small_home

from unichar.domains.toon.vocabulary import random_identity, random_scene
from unichar.model.nano.expert import GenerationExpert
from unichar.model.nano.vae import Vae
from unichar.pretrain.expert import ExpertPhase, optimizers, run, sample_step, write_prompt
from unichar.training.curves import read_curve

PHASE = ExpertPhase(steps=2, captions=3, pictures=2)


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


def test_pictures_of_a_prompt_are_adjacent():
    prompts, pixels = sample_step(PHASE, 0, 64)
    assert len(prompts) == 3 and pixels.shape == (6, 3, 64, 64)
    assert [len(prompt) for prompt in prompts] == sorted(len(prompt) for prompt in prompts)
    within = (pixels[0] - pixels[1]).abs().mean()
    between = (pixels[0] - pixels[2]).abs().mean()
    assert 0 < within < between


def test_muon_has_the_layers_matrices_and_adamw_the_rest():
    expert = GenerationExpert(SIZES)
    made = optimizers(expert, 1e-3)
    muon = {id(p) for group in made["muon"].param_groups for p in group["params"]}
    adamw = {id(p) for group in made["adamw"].param_groups for p in group["params"]}
    assert not muon & adamw and muon | adamw == {id(p) for p in expert.parameters()}
    assert id(expert.layers[0].q_proj.weight) in muon and id(expert.latent_in.weight) in adamw


def test_a_run_trains_and_resumes_where_it_was(tmp_path):
    base = make_small_base(tmp_path / "base")
    torch.manual_seed(0)
    vae = Vae(SIZES.vae_widths, SIZES.decoder_blocks).eval().requires_grad_(False)
    with small_home(base):
        trained = run(PHASE, SIZES, vae, tmp_path / "expert", key="k")
        again = run(PHASE, SIZES, vae, tmp_path / "expert", key="k")
    assert trained.latent_out.weight.any()  # zero at first
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True))
    assert "loss" in read_curve(tmp_path / "expert" / "curve.jsonl")[-1]
