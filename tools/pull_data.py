"""`make data`: bring what data.dvc names into data/, and leave everything else in data/ as it is.

    .tools/dvc/bin/python tools/pull_data.py

`dvc pull data.dvc` refuses to work while data/ holds a file that is not versioned, and with `--force`
deletes that file. So every versioned folder is pulled by itself, and folders that are not versioned, as a
user's kit, are left alone. When DVC refuses, its own message is shown, then the files in question and what
to do. Standard library only.
"""

import json
import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
LIST = "the list of versioned files, which is the object that data.dvc names"
MOST_NAMED = 10
"""Files named in a message; the others are counted."""

CHANGED = """{named}
{verb} in a folder that is versioned, so DVC would have to delete it. Nothing was removed. One of:
- move it out of data/ and run `make data` again; a kit of your own belongs into kits/<id>/ (docs/kit.md)
- delete it if you do not need it, and run `make data` again
- make it part of the versioned data: `make data-push`"""
MISSING_EMBEDDED = """{named}
cannot be read from assets/dvc-remote/, a part of this repository. Your data/ is not the cause. One of:
- bring deleted files of the remote back: `git restore assets/dvc-remote`, then `make data`
- fetch the latest commits: `git pull`, then `make data`
- if it is missing there too, the author of data.dvc must run `make data-push` and commit assets/dvc-remote"""
MISSING_ELSEWHERE = """{named}
cannot be read from the DVC remote {remote!r}. Your data/ is not the cause. One of:
- check the network and the credentials of that remote (.dvc/config, .dvc/config.local)
- ask the author of data.dvc to run `make data-push`"""
UNKNOWN = "DVC refused for the reason above. Nothing in data/ was removed."


class Refused(Exception):
    """DVC ended with an error; the message is what it said."""


def main() -> int:
    """Pull, and explain what went wrong; the exit code."""
    try:
        folders = versioned_folders()
    except Refused as error:
        return fail(str(error), missing([LIST]))

    try:
        dvc("pull", *folders)
    except Refused as error:
        return fail(str(error), explain(folders))
    return 0


def versioned_folders() -> list[str]:
    """The folders that are pulled one by one, as `data/characters/mochi`.

    Raises:
        Refused: The list of files is neither in the cache nor in the remote.
    """
    rows = json.loads(dvc("list", ".", "data", "--dvc-only", "--recursive", "--json"))
    folders = {"/".join(("data", *PurePosixPath(row["path"]).parts[:2])) for row in rows}
    return sorted(folders)


def explain(folders: list[str]) -> str:
    """Which files kept DVC from pulling, and the cure."""
    try:
        status = json.loads(dvc("data", "status", "--granular", "--json"))
    except (Refused, ValueError):
        return UNKNOWN

    uncommitted = status.get("uncommitted", {})
    modified = inside(folders, uncommitted.get("modified", []))
    added = inside(folders, uncommitted.get("added", []))
    if modified or added:
        verb = "was changed or added" if modified and added else "was changed" if modified else "was added"
        return CHANGED.format(named=named(sorted(modified + added)), verb=verb)

    absent = status.get("not_in_cache", [])
    lost = inside(folders, absent)
    if not lost and "data/" in absent:
        lost = [LIST]
    return missing(lost) if lost else UNKNOWN


def missing(files: list[str]) -> str:
    """The cure for objects that the remote does not give."""
    remote = dvc("config", "core.remote").strip()
    text = MISSING_EMBEDDED if remote == "embedded" else MISSING_ELSEWHERE
    return text.format(named=named(files), remote=remote)


def inside(folders: list[str], paths: list[str]) -> list[str]:
    """The files that lie in one of the folders, or are one of them; DVC puts a slash at the end of a
    folder.
    """
    found = []
    for path in paths:
        if not path.endswith("/") and any(
            path == folder or path.startswith(f"{folder}/") for folder in folders
        ):
            found.append(path)
    return found


def named(files: list[str]) -> str:
    """The first files, a line each."""
    lines = files[:MOST_NAMED]
    if len(files) > MOST_NAMED:
        lines = [*lines, f"and {len(files) - MOST_NAMED} more"]
    return "\n".join(f"  {line}" for line in lines)


def dvc(*arguments: str) -> str:
    """Run DVC in the repository; its stdout.

    Raises:
        Refused: It failed.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused((done.stderr or done.stdout).strip())
    return done.stdout


def fail(said: str, cure: str) -> int:
    """Print DVC's own message and the cure to stderr; the exit code."""
    print(f"DVC says:\n{said}\n\n{cure}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
