"""Files on disk that are complete or absent: atomic writes, flushed folders, remembered checksums, locks
between processes.

Used by the store and by every module that writes a file which another process reads. No torch.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from unichar.errors import UserError

_LOG = logging.getLogger(__name__)

# A lock is asked for this often; who waits is told this often that it still waits.
_POLL_SECONDS = 0.2
_REMINDER_SECONDS = 30.0


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part of it, even across a power
    cut.
    """
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; at the end it is flushed to disk and renamed to `path`.

    After an error it is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)

    # In the same folder, because a rename is atomic only within one file system.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".tmp-{path.name}-")
    temporary = Path(name)

    try:
        with os.fdopen(handle, "wb") as file:
            yield file

            # Python's buffer, then the kernel's: without it the file may be empty after a power cut.
            file.flush()
            os.fsync(file.fileno())

        # mkstemp creates with mode 0600, but outputs are for the whole team.
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

    # A rename survives a power cut only once the folder that holds the name is flushed too.
    sync_folder(path.parent)


def json_bytes(value: Any) -> bytes:
    """Indented JSON with sorted keys and a final newline; equal values give equal bytes.

    Raises:
        ValueError: A number is NaN or infinite, which JSON cannot express.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush `folder` and every file and folder below it to disk.

    Raises:
        UserError: The folder holds something that is neither a file nor a folder.
    """
    # Contents first, then the folders that name them.
    for path in list_files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())

    folders = [path for path in folder.rglob("*") if path.is_dir()]
    for path in [*folders, folder]:
        sync_folder(path)


def list_files(folder: Path) -> list[Path]:
    """Every file below `folder`, sorted by its path relative to `folder`.

    Raises:
        UserError: Something is neither a file nor a folder. A link would point elsewhere on another machine.
    """
    # Sorted, because the order in which a file system lists files differs between machines.
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        # Links, sockets and devices are refused.
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise UserError(
                f"{path} is a link or a special file; an output holds plain files only: write a copy instead"
            )

        if path.is_file():
            found.append(path)
    return found


def sha256_file(path: Path) -> str:
    """64 hex digits of a file's content, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class HashMemory:
    """Checksums remembered by (path, size, modification time), so that large files are read once.

    A change that keeps size and modification time goes unnoticed; `unichar doctor` reads every file again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def sha256(self, path: Path) -> str:
        """64 hex digits of a file's content."""
        # The full path, since several stores may be reached by relative ones.
        stat, key = path.stat(), str(path.resolve())
        known = self._read().get(key)
        if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known[2]

        digest = sha256_file(path)

        # Read again: another process may have added entries meanwhile. An entry lost in a race is only
        # computed again.
        remembered = {name: entry for name, entry in self._read().items() if Path(name).exists()}
        write_atomic(self.path, json_bytes(remembered | {key: [stat.st_size, stat.st_mtime_ns, digest]}))
        return digest

    def _read(self) -> dict[str, list[Any]]:
        return json.loads(self.path.read_bytes()) if self.path.exists() else {}


@contextlib.contextmanager
def locked(path: Path, *, waiting: str) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`, which is created and removed here.

    The kernel owns the lock, so a killed holder frees it at once. A process that finds the lock taken logs
    `waiting` at INFO, and repeats it every 30 seconds together with how long it has waited.

    Args:
        path: Lock file; its folder is created.
        waiting: What is waited for, as "another sft of mochi is running: waiting".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, poll_interval=_POLL_SECONDS)
    began = time.monotonic()

    # The first try returns at once, so that a process which has to wait says so before it waits.
    timeout = 0.0
    while True:
        try:
            lock.acquire(timeout=timeout)
            break
        except Timeout:
            so_far = f" ({time.monotonic() - began:.0f} s so far)" if timeout else ""
            _LOG.info("%s%s", waiting, so_far)
            timeout = _REMINDER_SECONDS

    try:
        yield
    finally:
        # Removed before it is released: a process that has opened the old file finds that its name is gone
        # and opens it anew.
        path.unlink(missing_ok=True)
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on `path`."""
    if not path.exists():
        return False

    # Trying is the only way to know: the file may have been left by a killed process.
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    lock.release()
    return False
