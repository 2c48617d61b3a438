"""The one door to a model: everything outside `unichar/model/` gets its model here."""

from collections.abc import Sequence
from pathlib import Path

from unichar.files import sha256_file
from unichar.model.lora import SIDES, load_adapters
from unichar.model.nano.merge import BASE
from unichar.model.nano.model import NanoModel, load_nano
from unichar.model.protocol import UnifiedModel


def load_model(
    base: Path, adapters: Path | None = None, *, sides: Sequence[str] = SIDES, trainable: bool = False
) -> UnifiedModel:
    """The base model of `base`, with a character's adapters on it if given: both sides, or those named.

    A merged character's folder (`python -m unichar merge`) is a base, too.

    Raises:
        FileNotFoundError: `base` is not there.
        ValueError: The file does not fit this version, or the adapters belong to another base.
    """
    if base.is_dir() and not (base / BASE).exists():
        raise ValueError(
            f"{base} is a folder, expected the nano base (one .safetensors file): this version trains nano only, "
            "so use the presets smoke or cpu"
        )
    model: NanoModel = load_nano(base)
    if adapters is not None:
        load_adapters(model, adapters, base_sha256=sha256_file(base), sides=sides, trainable=trainable)
    return model
