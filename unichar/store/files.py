"""Files on disk that are whole or absent: atomic writes, flushed folders, checksums that are remembered, locks.

Used by the store and by whoever writes a file that somebody else reads. No torch, standard library only.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part, even across a power cut."""
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece that takes the place of `path` at the end, whole and flushed to the disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".tmp-{path.name}-")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o644)  # mkstemp gives 0600; outputs are for the whole team
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def json_bytes(value: Any) -> bytes:
    """Readable JSON with sorted keys and a last newline: the same value gives the same bytes.

    Raises:
        ValueError: A number is NaN or infinite, which is no JSON.
    """
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, and itself.

    Raises:
        ValueError: Something in it is neither a file nor a folder.
    """
    for path in list_files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for path in [*(path for path in folder.rglob("*") if path.is_dir()), folder]:
        sync_folder(path)


def list_files(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted by its path inside it.

    Raises:
        ValueError: Something is neither a file nor a folder; a link would point elsewhere on another machine.
    """
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ValueError(
                f"{path} is a link or a special file; an output holds plain files only: write a copy instead"
            )
        if path.is_file():
            found.append(path)
    return found


def sha256_bytes(data: bytes) -> str:
    """64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """64 hex digits of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashMemory:
    """Remembers checksums by (path, size, time of change), so that large files are read once.

    A file changed without a change of size and time is not noticed; `doctor` reads everything again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def sha256(self, path: Path) -> str:
        """64 hex digits of a file's content."""
        stat, key = path.stat(), str(path.resolve())
        known = self._read().get(key)
        if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known[2]
        digest = sha256_file(path)
        # Read again: another process may have added its own meanwhile. What is lost in a race is only computed again.
        remembered = {name: entry for name, entry in self._read().items() if Path(name).exists()}
        write_atomic(self.path, json_bytes(remembered | {key: [stat.st_size, stat.st_mtime_ns, digest]}))
        return digest

    def _read(self) -> dict[str, list[Any]]:
        return json.loads(self.path.read_bytes()) if self.path.exists() else {}


@contextlib.contextmanager
def locked(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold an exclusive lock on `path` (made and removed here). A killed holder's lock is free at once.

    `waiting` is printed once when another process holds it. The file can be removed between our opening and our locking it,
    then the lock would be on a file nobody else sees, so the loop checks that both are still the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            break
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on `path`."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
