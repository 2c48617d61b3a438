"""The one door to a model: everything outside `unichar/model/` gets its model here."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from unichar.model.bagel.weights import load_bagel
from unichar.model.lora import SIDES, load_adapters
from unichar.model.nano.merge import BASE
from unichar.model.nano.model import load_nano
from unichar.model.protocol import UnifiedModel
from unichar.store.files import sha256_file


def load_model(
    base: Path, adapters: Path | None = None, *, sides: Sequence[str] = SIDES, trainable: bool = False
) -> UnifiedModel:
    """The base model of `base`, with a character's adapters on it if given: both sides, or those named.

    A folder is a BAGEL as published, which goes to this process's GPU if it has one, or a merged character of either kind
    (`python -m unichar merge`).

    Raises:
        FileNotFoundError: `base` is not there.
        ValueError: It does not fit this version, or the adapters belong to another base.
    """
    model: UnifiedModel = (
        load_bagel(base) if base.is_dir() and not (base / BASE).exists() else load_nano(base)
    )
    if adapters is not None:
        load_adapters(model, adapters, base_sha256=base_digest(base), sides=sides, trainable=trainable)
    return model


def base_digest(base: Path) -> str:
    """64 hex digits that name a base: of the file, or of the names and contents of the folder's files. A folder is read whole."""
    if not base.is_dir():
        return sha256_file(base)
    files = sorted(path for path in base.rglob("*") if path.suffix in (".safetensors", ".json", ".txt"))
    lines = [f"{path.relative_to(base).as_posix()} {sha256_file(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
