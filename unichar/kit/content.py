"""The content hash of a kit folder. It changes if and only if the kit changes.

The rule is the one by which DVC names a folder, so that a kit under DVC has the same value in its pointer
file: md5 of the JSON list `[{"md5": ..., "relpath": ...}, ...]` sorted by relpath, plus ".dir". Hidden
files such as `.DS_Store` are left out, because opening a folder must not retrain a character; a
`.dvcignore` with the line `.*` tells DVC the same.
"""

import hashlib
import json
from pathlib import Path

from unichar.errors import UserError


def kit_hash(folder: Path) -> str:
    """32 hex digits and ".dir". A link counts as the file it points to, since DVC may check files out as
    links.

    Raises:
        UserError: There is no such folder, or a file of it cannot be read.
    """
    if not folder.is_dir():
        raise UserError(
            f"there is no kit folder {folder}; bring one in with `python -m unichar onboard <folder>`"
        )

    # One row per file, in the order in which DVC sorts them.
    rows = []
    try:
        for path in kit_files(folder):
            rows.append({"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()})
    except OSError as error:
        raise UserError(
            f"{error.filename} of the kit cannot be read: {error.strerror}; correct its permissions or "
            "remove it"
        ) from error

    # md5 because DVC uses it; it detects changes and protects nothing.
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def kit_files(folder: Path) -> list[Path]:
    """All files below the folder, sorted by path; hidden files and hidden folders are left out."""
    # Files only: an empty folder changes nothing, and DVC does not see it either.
    files = []
    for path in folder.rglob("*"):
        if path.is_file() and not _is_hidden(path.relative_to(folder)):
            files.append(path)
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _md5(path: Path) -> str:
    # In blocks, because pictures may be large.
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
