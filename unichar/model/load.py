"""Loads a model: everything outside `unichar/model/` gets its model here."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from unichar.errors import UserError
from unichar.model.bagel.weights import load_bagel
from unichar.model.components import merge_adapters
from unichar.model.lora import COMPONENTS, load_adapters
from unichar.model.nano.loading import load_nano
from unichar.model.nano.merge import BASE
from unichar.model.protocol import UnifiedModel
from unichar.store.files import HashMemory
from unichar.training.ranks import local_device
from unichar.types import LoadConfig

_LOG = logging.getLogger(__name__)


def load_model(
    base: Path,
    adapters: Path | None = None,
    *,
    components: Sequence[str] = COMPONENTS,
    trainable: bool = False,
    merge: bool = False,
    load: LoadConfig | None = None,
    hashes: HashMemory | None = None,
) -> UnifiedModel:
    """Load a base model, with a character's adapters if given.

    Args:
        base: A file is a nano base. A folder is a published BAGEL, which goes to this process's GPU if it has
            one, or a merged character of either family (`python -m unichar merge`).
        adapters: The `adapters/` folder of a checkpoint.
        components: The components the adapters attach to.
        trainable: Whether the adapters require gradients.
        merge: Add the adapters of a BAGEL to its weights, for good: it draws and replies faster, and answers
            as its merged folder does. Nano, and weights in 4 bits, keep them beside.
        load: Type of the frozen weights and size of pictures; only BAGEL has a choice.
        hashes: Remembered checksums; without them the base is read once more to check that the adapters are
            its own.

    Raises:
        FileNotFoundError: `base` does not exist.
        UserError: It does not fit this version, the adapters belong to another base, or `load` asks for what
            nano has not.
    """
    # Seconds to minutes without any other sign of life.
    _LOG.info("loading the model %s on %s", base, local_device())
    model = _load_base(base, load or LoadConfig())

    if adapters is not None:
        digest = base_digest(base, hashes)
        load_adapters(model, adapters, base_sha256=digest, components=components, trainable=trainable)
        if merge and is_bagel(base):
            for name in components:
                merge_adapters(getattr(model, name))
    return model


def _load_base(base: Path, load: LoadConfig) -> UnifiedModel:
    if is_bagel(base):
        return load_bagel(base, quantize=load.quantize, image_size=load.image_size or None)

    if load != LoadConfig():
        raise UserError(
            f"{base} is a nano, which is loaded in one way only, but the settings say "
            f"quantize={load.quantize!r} and image_size={load.image_size}: name a BAGEL folder, or a preset "
            "without them"
        )
    return load_nano(base)


def is_bagel(base: Path) -> bool:
    """Whether a base is a BAGEL folder; others are nano, a file or a merged character's folder."""
    return base.is_dir() and not (base / BASE).exists()


def base_digest(base: Path, hashes: HashMemory | None = None) -> str:
    """64 hex digits that identify a base: the hash of the file, or of the names and contents of a folder's
    files.

    Args:
        base: See `load_model`.
        hashes: Remembered checksums. Without them everything is read, 29 GB for BAGEL.
    """
    sha256 = (hashes or HashMemory(None)).sha256
    if not base.is_dir():
        return sha256(base)

    # Hidden files are left out: a download from Hugging Face keeps notes of its own in `.cache`.
    lines = []
    for path in sorted(base.rglob("*")):
        name = path.relative_to(base)
        is_hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix in (".safetensors", ".json", ".txt") and not is_hidden:
            lines.append(f"{name.as_posix()} {sha256(path)}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
