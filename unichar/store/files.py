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
    """Checksums remembered by (path, size, modification time, inode), so that large files are read once.

    Processes share them: of several that need the checksum of one file, one reads it and the others wait. A
    change that keeps size, modification time and inode goes unnoticed; `unichar doctor` reads every file
    again.

    Args:
        path: File that remembers; None remembers nothing and reads a file each time.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def sha256(self, path: Path) -> str:
        """64 hex digits of a file's content."""
        if self.path is None:
            return sha256_file(path)
        known = self._known(self.path, path)
        if known:
            return known

        # Ranks and stages that start together want the same 29 GB: one of them reads.
        with locked(self._lock(self.path, path), waiting=f"another process reads {path}: waiting"):
            known = self._known(self.path, path)
            if known:
                return known

            before = _identity(path)
            digest = sha256_file(path)

            # A file that changed meanwhile has no checksum worth keeping.
            if _identity(path) == before:
                self._remember(self.path, path, [*before, digest])
            return digest

    @staticmethod
    def _lock(memory: Path, path: Path) -> Path:
        """Locked by the process that reads a file, or with the memory itself that writes it."""
        name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
        return memory.with_name(f".lock-{name}")

    def _known(self, memory: Path, path: Path) -> str | None:
        """The remembered checksum of a file, if it is still the same file."""
        # The full path, since several stores may be reached by relative ones.
        *identity, digest = self._read(memory).get(str(path.resolve()), [None])
        return digest if identity == _identity(path) else None

    def _remember(self, memory: Path, path: Path, entry: list[Any]) -> None:
        """Add an entry, and drop those of files that are gone."""
        # Read again under the lock: other processes add entries, too.
        with locked(self._lock(memory, memory), waiting=f"another process writes {memory}: waiting"):
            entries = {name: kept for name, kept in self._read(memory).items() if Path(name).exists()}
            write_atomic(memory, json_bytes(entries | {str(path.resolve()): entry}))

    @staticmethod
    def _read(memory: Path) -> dict[str, list[Any]]:
        return json.loads(memory.read_bytes()) if memory.exists() else {}


def _identity(path: Path) -> list[int]:
    """What a file is told apart by without reading it: size, modification time in nanoseconds, inode."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


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
