"""The content hash of a kit folder: what changes when, and only when, the kit changes.

It follows the rule by which DVC names a folder, so a kit put under DVC by itself has this very value in its pointer file:
md5 of the JSON list `[{"md5": ..., "relpath": ...}, ...]` sorted by relpath, plus ".dir". Hidden files, as `.DS_Store`, are left
out, because looking at a folder must not retrain a character; a `.dvcignore` with the line `.*` says the same to DVC.
"""

import hashlib
import json
from pathlib import Path


def kit_hash(folder: Path) -> str:
    """32 hex digits and ".dir". Links count as the file they point to, which is how DVC may check files out.

    Raises:
        ValueError: There is no such folder, or a file of it cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no kit folder {folder}; a kit lies in data/characters/<id>/")
    try:
        rows = [
            {"md5": _md5(path), "relpath": path.relative_to(folder).as_posix()} for path in kit_files(folder)
        ]
    except OSError as error:
        raise ValueError(f"{error.filename} of the kit cannot be read: {error.strerror}") from error
    return hashlib.md5(json.dumps(rows, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def kit_files(folder: Path) -> list[Path]:
    """The files that make a kit: everything below the folder but hidden files and folders, sorted by path."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder))
    ]
    return sorted(files, key=lambda path: path.relative_to(folder).as_posix())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
