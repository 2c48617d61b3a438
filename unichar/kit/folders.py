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
    # Beside the target, because a rename is atomic only within one file system.
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".tmp-{target.name}-"))

    # One level further down, because a check compares the folder's name with the id.
    part = temporary / target.name
    try:
        part.mkdir()
        yield part

        # Contents reach the disk before the name does, so that a power cut leaves no half-written kit.
        sync_tree(part)
        _put_in_place(part, target, set_aside)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

    # The rename itself is on the disk only once its folder is.
    sync_folder(target.parent)


def _put_in_place(part: Path, target: Path, set_aside: Path | None) -> None:
    """Rename `part` to `target`; a kill between the two renames leaves the old version complete in
    `set_aside`."""
    if set_aside is None or not os.path.lexists(target):
        part.rename(target)
        return

    # A folder that is not empty cannot be replaced by one rename, so the old one moves away first.
    set_aside.parent.mkdir(parents=True, exist_ok=True)
    target.rename(set_aside)
    try:
        part.rename(target)
    except BaseException:
        # Undo the first rename, also after Ctrl-C: the project must not be left without the kit.
        if not os.path.lexists(target):
            set_aside.rename(target)
        raise
    sync_folder(set_aside.parent)
