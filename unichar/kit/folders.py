"""Folders of kits that appear complete or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from unichar.store.files import sync_folder, sync_tree


@contextlib.contextmanager
def new_folder(target: Path, *, set_aside: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder with the name of `target`, which is renamed to `target` when the block ends
    without an error.

    After an error nothing is left behind. A kill leaves a hidden folder `.tmp-...` beside `target`, which
    no reader opens and which `unichar doctor` removes after a day.

    Args:
        target: The folder to make.
        set_aside: Where a `target` that exists is moved, with everything in it. None refuses to replace it.

    Raises:
        OSError: The disk refused, or `target` exists and is not empty while `set_aside` is None.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".tmp-{target.name}-"))

    # One level further down, because a check compares the folder's name with the id.
    part = temporary / target.name
    try:
        part.mkdir()
        yield part
        sync_tree(part)
        _put_in_place(part, target, set_aside)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_folder(target.parent)


def _put_in_place(part: Path, target: Path, set_aside: Path | None) -> None:
    """Rename `part` to `target`; a kill between the two renames leaves the old version complete in
    `set_aside`."""
    if set_aside is None or not os.path.lexists(target):
        part.rename(target)
        return

    set_aside.parent.mkdir(parents=True, exist_ok=True)
    target.rename(set_aside)
    try:
        part.rename(target)
    except OSError:
        set_aside.rename(target)
        raise
    sync_folder(set_aside.parent)
