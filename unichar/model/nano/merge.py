"""A character without adapters: both sides merged into their base weights.

    folder/base.safetensors   the nano base with the character's expert; by itself it draws the character, adapters or not
    folder/backbone/          SmolLM2 with the character's voice, an ordinary folder of transformers

Prompts for pictures are read by the backbone as it was before the voice was trained (decision 5), which is why the voice is not
put in its place: `load_nano(folder)` reads both and gives each its own.
"""

import copy
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from unichar.training.state import load_tensors, save_tensors

BASE, VOICE = "base.safetensors", "backbone"


def merged(side: nn.Module) -> nn.Module:
    """A copy of one side in fp32 with its adapters added to its weights; `side` itself stays as it is."""
    own = copy.deepcopy(side).float()
    return own.merge_and_unload() if isinstance(own, PeftModel) else own


def save_voice(und: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the merged backbone in bf16, as the plain one is kept."""
    voice = merged(und).to(torch.bfloat16)
    assert isinstance(voice, PreTrainedModel)
    voice.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_base(gen: nn.Module, base: Path, target: Path) -> None:
    """Write the base file of `base` with the merged expert, kept in fp32, in the place of its own."""
    tensors, about = load_tensors(base)
    tensors |= {f"expert.{name}": tensor for name, tensor in merged(gen).state_dict().items()}
    save_tensors(target, tensors, about)
