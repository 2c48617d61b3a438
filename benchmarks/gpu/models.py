"""A BAGEL with random weights, made on the device where it runs: nothing is downloaded and nothing is read.

Speed and memory depend on shapes and types, not on what the weights say. Norms are 1 and biases 0, so that
activations stay finite through all layers.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from unichar.model.bagel.config import BagelConfig
from unichar.model.bagel.generation import sincos_table
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.names import TABLES, published
from unichar.model.bagel.quantization import set_weight, use_4bit
from unichar.model.bagel.tokenizer import CONTROL, BagelTokenizer
from unichar.types import Quantization

STD = 0.02
"""Standard deviation of the random weights."""


def random_bagel(
    config: BagelConfig,
    *,
    image_size: int,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
    quantize: Quantization = "",
    by_width: bool = False,
    seed: int = 0,
) -> BagelModel:
    """A frozen BAGEL with normal weights, made tensor by tensor on the device.

    The same seed gives other weights on another device.

    Args:
        config: Sizes.
        image_size: Side of generated pictures in pixels.
        device: Where weights are made and stay.
        dtype: Of all weights but those in 4 bits.
        quantize: As for `load_bagel`; a tensor is quantised as soon as it is made.
        by_width: Whether weights are scaled by the number of their inputs, as trained ones are, instead of
            all having the standard deviation `STD`.
        seed: Of the weights.

    Raises:
        UserError: bitsandbytes is missing.
    """
    generator = torch.Generator(device).manual_seed(seed)

    def make(name: str, shape: torch.Size) -> Tensor:
        return _random(name, shape, generator, dtype, by_width=by_width)

    empty = _empty(config, image_size)
    return _filled(empty, make, dtype=dtype, quantize=quantize)


def converted(
    model: BagelModel,
    *,
    device: torch.device,
    dtype: torch.dtype = torch.bfloat16,
    quantize: Quantization = "",
) -> BagelModel:
    """A copy of a model without adapters, of another type or on another device."""

    def make(name: str, shape: torch.Size) -> Tensor:
        return model.get_parameter(name).detach().to(device, dtype, copy=True)

    return _filled(_empty(model.config, model.image_size), make, dtype=dtype, quantize=quantize)


def _empty(config: BagelConfig, image_size: int) -> BagelModel:
    with torch.device("meta"):
        tokenizer = BagelTokenizer(byte_tokenizer(), vocabulary=config.text.vocab_size)
        return BagelModel(config, tokenizer, image_size=image_size)


def _filled(
    model: BagelModel,
    make: Callable[[str, torch.Size], Tensor],
    *,
    dtype: torch.dtype,
    quantize: Quantization,
) -> BagelModel:
    """An empty model with the weights that `make` makes of name and shape, as `load_bagel` fills it."""
    in_4_bits = use_4bit(model, quantize, dtype) if quantize else {}
    for name, empty in list(model.named_parameters()):
        tensor = make(name, empty.shape)
        if name in in_4_bits:
            set_weight(in_4_bits[name], tensor)
        else:
            path, leaf = name.rsplit(".", 1)
            setattr(model.get_submodule(path), leaf, nn.Parameter(tensor, requires_grad=False))
    return model.eval().requires_grad_(False)


def _random(
    name: str, shape: torch.Size, generator: torch.Generator, dtype: torch.dtype, *, by_width: bool
) -> Tensor:
    if published(name) in TABLES:
        return sincos_table(round(shape[0] ** 0.5), shape[1]).to(generator.device, dtype)

    empty = torch.empty(shape, dtype=dtype, device=generator.device)
    if len(shape) == 1:
        return empty.fill_(0.0 if name.endswith("bias") else 1.0)
    std = shape[1:].numel() ** -0.5 if by_width else STD
    return empty.normal_(0.0, std, generator=generator)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte, and BAGEL's control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={text: id for id, text in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(CONTROL))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def write_base(folder: Path, config: BagelConfig, *, image_size: int) -> Path:
    """A base folder without weights: sizes and tokenizer, which saving copies."""
    folder.mkdir(parents=True, exist_ok=True)
    byte_tokenizer().save_pretrained(str(folder))
    for name, part in (("llm_config", config.text), ("vit_config", config.vision)):
        (folder / f"{name}.json").write_text(json.dumps(vars(part)))
    about = {"model_type": "bagel", "max_latent_size": config.latent_side, "image_size": image_size}
    (folder / "config.json").write_text(json.dumps(about))
    return folder


def num_bytes(model: nn.Module) -> int:
    """Bytes of all weights as they are stored."""
    return sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
