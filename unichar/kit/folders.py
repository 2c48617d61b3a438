"""Folders of kits that appear whole or not at all."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from unichar.store.files import sync_folder, sync_tree


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `target` when the block ends well.

    A kill leaves a hidden folder beside it that nobody reads.

    Raises:
        OSError: The disk refused, or `target` is there and not empty; then nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".tmp-{target.name}-"))
    try:
        yield part
        part.chmod(0o755)  # mkdtemp gives 0700; kits are for the whole team
        sync_tree(part)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(target.parent)
