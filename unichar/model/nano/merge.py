"""Writes a nano character without adapters: both components merged into their base weights.

    folder/base.safetensors   the nano base with the character's generation expert folder/backbone/
    SmolLM2 with the character's text adapters merged, an ordinary transformers folder

Image prompts are encoded by the plain backbone (decision 5: pictures must not change while the text adapters
train), so the merged backbone does not replace it: `load_nano(folder)` loads both and uses each for its own
purpose.
"""

import copy
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unichar.training.state import load_tensors, save_tensors

BASE, BACKBONE = "base.safetensors", "backbone"


def merged(component: nn.Module) -> nn.Module:
    """A copy of a component in fp32 with its adapters added to its weights; `component` is not changed."""
    own = copy.deepcopy(component).float()
    return own.merge_and_unload() if isinstance(own, PeftModel) else own


def save_backbone(und: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the merged backbone in bf16, the type the plain backbone is stored in."""
    backbone = merged(und).to("cpu", torch.bfloat16)
    assert isinstance(backbone, PreTrainedModel)
    backbone.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_base(gen: nn.Module, base: Path, target: Path) -> None:
    """Write a copy of the base file `base` in which the merged expert, in fp32, replaces its own."""
    tensors, metadata = load_tensors(base)
    tensors |= {f"expert.{name}": tensor for name, tensor in merged(gen).state_dict().items()}
    save_tensors(target, tensors, metadata)
