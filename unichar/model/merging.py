"""Writes a character's adapters and their base as one model, of either family."""

from pathlib import Path

from unichar.model.bagel.saving import merge_bagel
from unichar.model.load import base_digest, is_bagel
from unichar.model.lora import check_base, load_adapters
from unichar.model.nano.loading import load_nano
from unichar.store.files import HashMemory
from unichar.types import LoadConfig


def save_merged(
    base: Path, adapters: Path, folder: Path, *, load: LoadConfig, hashes: HashMemory | None = None
) -> None:
    """Write a base with adapters merged into an empty folder that `load_model` reads.

    A BAGEL is never loaded whole: tensors are read, summed and written in the type they are stored in. What
    is merged into are the base's own weights, also where training saw them in 4 bits.

    Args:
        base: See `unichar.model.load.load_model`.
        adapters: The `adapters/` folder of a checkpoint.
        folder: Empty.
        load: As the adapters were trained.
        hashes: See `base_digest`.

    Raises:
        UserError: The adapters were trained on another base, or a file is missing or damaged.
    """
    digest = base_digest(base, hashes)
    if is_bagel(base):
        check_base(adapters, base_sha256=digest)
        merge_bagel(base, adapters, folder, image_size=load.image_size)
        return

    model = load_nano(base)
    load_adapters(model, adapters, base_sha256=digest)
    model.save_merged(folder, base=base)
