"""The generation expert: a picture's velocity is a matter of that picture, its time and its prompt alone."""

import pytest
import torch
from factories_model import PROMPTS
from transformers import AutoConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from unichar.model.nano.backbone import backbone_folder
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import (
    GenerationExpert,
    TextContext,
    join_contexts,
    pad_context,
    timestep_features,
    unrotate,
)
from unichar.training.seeds import torch_rng

CONFIG = NanoConfig(expert_width=64, expert_heads=6, expert_mlp=96, every=10)
LENGTHS = (7, 3, 5)


def random(*shape: int, name: str) -> torch.Tensor:
    return torch.randn(shape, generator=torch_rng(0, name))


@pytest.fixture(scope="module")
def expert() -> GenerationExpert:
    """Small, in fp32, every parameter random: the fresh one answers zero whatever it is asked."""
    net = GenerationExpert(CONFIG)
    for name, parameter in net.named_parameters():
        parameter.data = 0.2 * random(*parameter.shape, name=name)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def context() -> TextContext:
    """Three prompts of different lengths."""
    shape = (len(LENGTHS), CONFIG.kv_heads, max(LENGTHS), CONFIG.head_dim)
    keys = tuple(random(*shape, name=f"k{i}") for i in CONFIG.attached)
    values = tuple(random(*shape, name=f"v{i}") for i in CONFIG.attached)
    return TextContext(
        keys, values, torch.tensor([[i < length for i in range(max(LENGTHS))] for length in LENGTHS])
    )


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """(noisy latents, times) of two pictures for each of three prompts."""
    return random(6, 8, CONFIG.latent_side, CONFIG.latent_side, name="x"), torch.linspace(0.1, 0.95, 6)


def test_pictures_of_one_prompt_at_once_are_as_one_by_one(expert, context, pictures):
    x, t = pictures
    together = expert(x, t, context)
    assert together.shape == x.shape and together.std() > 0.1
    for i in range(6):
        alone = expert(x[i : i + 1], t[i : i + 1], context.select(torch.tensor([i // 2])))
        assert torch.allclose(alone[0], together[i], atol=1e-4), i


def test_a_picture_depends_on_no_other_picture(expert, context, pictures):
    x, t = pictures
    crowd = x.clone()
    crowd[[0, 1, 2, 4, 5]] = 50 * random(5, *x.shape[1:], name="crowd")
    assert torch.allclose(
        expert(crowd, t.flip(0).index_fill(0, torch.tensor(3), float(t[3])), context)[3],
        expert(x, t, context)[3],
    )


def test_padding_of_the_context_is_not_seen(expert, context, pictures):
    x, t = pictures
    padded = pad_context(context, 20)
    dirty = TextContext(
        tuple(k.masked_fill(~padded.mask[:, None, :, None], 9.0) for k in padded.keys),
        tuple(v.masked_fill(~padded.mask[:, None, :, None], -9.0) for v in padded.values),
        padded.mask,
    )
    assert torch.allclose(expert(x, t, dirty), expert(x, t, context), atol=1e-5)


def test_time_and_prompt_matter(expert, context, pictures):
    x, t = pictures
    v = expert(x, t, context)
    other_prompts, other_times = (
        expert(x, t, context.select(torch.tensor([1, 2, 0]))),
        expert(x, 1 - t, context),
    )
    assert ((other_prompts - v).abs().amax(dim=(1, 2, 3)) > 1e-3).all()
    assert ((other_times - v).abs().amax(dim=(1, 2, 3)) > 1e-3).all()


def test_contexts_can_be_taken_apart_and_joined(context):
    parts = [context.select(torch.tensor([row])) for row in range(3)]
    assert [part.mask.shape[1] for part in parts] == list(LENGTHS)
    joined = join_contexts(parts)
    assert torch.equal(joined.mask, context.mask)
    seen = context.mask[:, None, :, None]
    for a, b in zip(joined.keys + joined.values, context.keys + context.values, strict=True):
        assert torch.equal(a * seen, b * seen)


def test_a_prompt_that_does_not_fit_is_refused(context):
    with pytest.raises(ValueError, match="a prompt has 7 tokens, at most 5 fit here"):
        pad_context(context, 5)


def test_a_fresh_expert_answers_nothing_yet(context, pictures):
    assert not GenerationExpert(CONFIG)(*pictures, context).any()


def test_timestep_features_tell_times_apart():
    features = timestep_features(torch.linspace(0, 1, 101))
    assert features.shape == (101, 256)
    assert features.abs().max() <= 1
    assert torch.cdist(features, features).fill_diagonal_(9).min() > 0.1


def test_unrotate_takes_out_what_the_library_put_in():
    config = AutoConfig.from_pretrained(backbone_folder())
    rotary = LlamaRotaryEmbedding(config)
    keys = random(2, 3, 40, 64, name="keys")
    cos, sin = rotary(keys, torch.arange(40)[None].expand(2, -1))
    _, rotated = apply_rotary_pos_emb(keys, keys, cos, sin)
    assert not torch.allclose(rotated, keys, atol=0.1)
    assert torch.allclose(unrotate(rotated, float(config.rope_parameters["rope_theta"])), keys, atol=1e-4)


def test_after_unrotating_a_word_has_one_key_wherever_it_stands(model):
    """In the first layer keys depend on the word and its place only, so without the place all are alike."""
    ids = torch.full((1, 30), model.tokenizer.encode(" teal")[0])
    cached = model.und.model(input_ids=ids, use_cache=True).past_key_values.layers[0].keys
    plain = unrotate(cached, float(model.und.config.rope_parameters["rope_theta"]))

    def spread(keys: torch.Tensor) -> float:
        return float((keys.float() - keys[:, :, :1].float()).norm() / keys.float().norm())

    assert spread(cached) > 0.5
    assert spread(plain) < 0.02


def test_the_base_expert_keeps_pictures_apart_in_bf16_too(model):
    context = model.prompt_context(PROMPTS)
    x, t = random(6, 8, 16, 16, name="x"), torch.linspace(0.1, 0.95, 6)
    together = model.velocity(x, t, context)
    for i in range(6):
        alone = model.velocity(x[i : i + 1], t[i : i + 1], model.prompt_context([PROMPTS[i // 2]]))
        assert float((alone[0] - together[i]).square().mean().sqrt()) < 0.02 * float(together[i].std()), i
