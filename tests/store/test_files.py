"""Files that are complete or absent, and locks that a kill frees."""

import logging
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unichar.store import files
from unichar.store.files import HashMemory, is_locked, json_bytes, list_files, locked, write_atomic

HOLDER = """
import sys, time
from pathlib import Path
from unichar.store.files import locked
with locked(Path(sys.argv[1]), waiting="waiting"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


COUNTER = """
import sys
from pathlib import Path
from unichar.store.files import locked
counter = Path(sys.argv[2])
for _ in range(20):
    with locked(Path(sys.argv[1]), waiting="waiting"):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def hold(path: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lock now."""
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_atomic(path, b"old")
    path.with_name("c").mkdir()
    with pytest.raises(OSError):
        write_atomic(path.with_name("c"), b"a folder is in the way")
    assert path.read_bytes() == b"old"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["b.json", "c"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_json_is_the_same_bytes_for_the_same_value() -> None:
    assert (
        json_bytes({"b": 1, "a": "ü"})
        == json_bytes({"a": "ü", "b": 1})
        == b'{\n  "a": "\xc3\xbc",\n  "b": 1\n}\n'
    )
    with pytest.raises(ValueError):
        json_bytes({"loss": float("inf")})


def test_files_are_listed_by_path_and_links_refused(tmp_path: Path) -> None:
    for name in ("b/c", "a", "b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.relative_to(tmp_path).as_posix() for path in list_files(tmp_path)] == ["a", "b.txt", "b/c"]
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="loop is a link"):
        list_files(tmp_path)


def test_many_may_remember_checksums_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(8)]
    for path in paths:
        path.write_text(path.name)
    memory = HashMemory(tmp_path / "memory.json")
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(memory.sha256, paths))
    assert first == [memory.sha256(path) for path in paths] and len(set(first)) == 8


def test_a_file_that_many_want_at_once_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, reads = tmp_path / "weights", []
    path.write_bytes(b"weights")

    def slow(file: Path) -> str:
        reads.append(file)
        time.sleep(0.2)
        return "a digest"

    # Threads with a memory each, as processes have.
    monkeypatch.setattr(files, "sha256_file", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: HashMemory(tmp_path / "memory.json").sha256(path), range(4)))
    assert found == ["a digest"] * 4 and reads == [path]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["memory.json", "weights"]


def test_another_file_under_the_same_name_is_noticed(tmp_path: Path) -> None:
    """Of the same size and time, as a copy that keeps times may be."""
    memory, path = HashMemory(tmp_path / "memory.json"), tmp_path / "weights"
    path.write_bytes(b"1")
    first, stat = memory.sha256(path), path.stat()
    other = tmp_path / "other"
    other.write_bytes(b"2")
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert memory.sha256(path) == files.sha256_file(path) != first


def test_a_memory_of_an_older_version_is_read_again(tmp_path: Path) -> None:
    memory, path = tmp_path / "memory.json", tmp_path / "weights"
    path.write_bytes(b"1")
    stat = path.stat()
    memory.write_bytes(json_bytes({str(path.resolve()): [stat.st_size, stat.st_mtime_ns, "old"]}))
    assert HashMemory(memory).sha256(path) == files.sha256_file(path)


def test_a_second_process_says_at_once_what_it_waits_for_and_repeats_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_REMINDER_SECONDS", 0.3)
    caplog.set_level(logging.INFO, logger="unichar")
    path = tmp_path / "lock"
    process = hold(path, 1.0)
    assert is_locked(path)

    with locked(path, waiting="another is running: waiting"):
        assert process.wait() == 0

    first, *reminders = caplog.messages
    assert first == "another is running: waiting"
    assert reminders and all(re.fullmatch(rf"{first} \(\d+ s so far\)", words) for words in reminders)
    assert not path.exists() and not is_locked(path)


def test_a_killed_process_holds_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="unichar")
    path = tmp_path / "lock"
    process = hold(path, 60)
    process.kill()
    process.wait()

    assert path.exists() and not is_locked(path)
    with locked(path, waiting="waiting"):
        pass
    assert caplog.messages == []


def test_only_one_of_many_processes_holds_the_lock(tmp_path: Path) -> None:
    """Each adds one to a number in a file: a lost update would show two holders at once."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNTER, str(tmp_path / "lock"), str(counter)]

    processes = [subprocess.Popen(command) for _ in range(4)]

    assert [process.wait() for process in processes] == [0] * 4
    assert counter.read_text() == "80"
