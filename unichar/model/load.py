"""Loads a model: everything outside `unichar/model/` gets its model here."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from unichar.model.bagel.weights import load_bagel
from unichar.model.lora import COMPONENTS, load_adapters
from unichar.model.nano.loading import load_nano
from unichar.model.nano.merge import BASE
from unichar.model.protocol import UnifiedModel
from unichar.store.files import sha256_file

_LOG = logging.getLogger(__name__)


def load_model(
    base: Path,
    adapters: Path | None = None,
    *,
    components: Sequence[str] = COMPONENTS,
    trainable: bool = False,
) -> UnifiedModel:
    """Load a base model, with a character's adapters if given.

    Args:
        base: A file is a nano base. A folder is a published BAGEL, which goes to this process's GPU if it has
            one, or a merged character of either family (`python -m unichar merge`).
        adapters: The `adapters/` folder of a checkpoint.
        components: The components the adapters attach to.
        trainable: Whether the adapters require gradients.

    Raises:
        FileNotFoundError: `base` does not exist.
        ValueError: It does not fit this version, or the adapters belong to another base.
    """
    # Seconds to minutes without any other sign of life.
    _LOG.info("loading the model %s", base)
    is_bagel = base.is_dir() and not (base / BASE).exists()
    model: UnifiedModel = load_bagel(base) if is_bagel else load_nano(base)

    if adapters is not None:
        load_adapters(
            model, adapters, base_sha256=base_digest(base), components=components, trainable=trainable
        )
    return model


def base_digest(base: Path) -> str:
    """64 hex digits that identify a base: the hash of the file, or of the names and contents of a folder's
    files.

    Reads all of a folder, 29 GB for BAGEL.
    """
    if not base.is_dir():
        return sha256_file(base)

    files = sorted(path for path in base.rglob("*") if path.suffix in (".safetensors", ".json", ".txt"))
    lines = [f"{path.relative_to(base).as_posix()} {sha256_file(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
