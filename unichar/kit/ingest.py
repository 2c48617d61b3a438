"""Bring a kit into the project: check a folder, then copy it to `kits/<id>/`, complete or not at all.

    ingest(Path("~/mochi").expanduser(), Store.from_env(), KitConfig()).folder

A rejected kit is not copied, so its author edits the folder and brings it in again. A version that is
replaced is kept in `kits/.replaced/`. Nothing is ever deleted.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from unichar.errors import UserError
from unichar.kit.config import KitConfig
from unichar.kit.content import kit_files, kit_hash
from unichar.kit.folders import new_folder
from unichar.kit.schema import check_key, read_kit
from unichar.kit.validate import inspect
from unichar.kit.verdict import Verdict, gate
from unichar.store.files import locked
from unichar.store.store import Store

REPLACED = ".replaced"
"""Folder inside `kits/` that keeps replaced versions; hidden, so that none of them is taken for a kit."""


class IngestError(UserError):
    """A kit cannot be brought in; nothing was changed."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """A kit that is in the project now."""

    character: str
    """The id."""
    folder: Path
    """What the pipeline reads."""
    verdict: Verdict | None = None
    """The verdict on the copy; None when nothing was copied, because the project had this kit already."""
    replaced: Path | None = None
    """Where the version before is kept, if there was one in `kits/`."""


def ingest(source: Path, store: Store, config: KitConfig) -> Ingested:
    """Copy the kit folder `source` to `kits/<id>/` if it passes its checks. Hidden files are not copied.

    The id is the one in kit.yaml, so the folder may have any name. Nothing is copied when `source` is the
    folder that the project reads for this id, a starter character, or has the content that the project has
    already.

    Raises:
        IngestError: There is no such folder, its id is missing or invalid, it holds links, or the disk
        refused. KitRejected: The kit failed its checks; the message names `source` and every reason.
    """
    # Refuse what the checks of a kit cannot see: no folder, no id, links.
    if not source.is_dir():
        raise IngestError(f"there is no folder {source}; name the folder that holds kit.yaml")

    # The id decides the target, so it is read before anything is copied.
    key = _key(source)

    # A link could point outside the kit, and its target may change after the check.
    links = [path for path in source.rglob("*") if path.is_symlink()]
    if links:
        raise IngestError(
            f"{links[0]} is a link; a kit is brought in with plain files only, so replace it by a copy"
        )

    if _is_there(source, key, store):
        return Ingested(character=key, folder=store.kit(key))

    # Without the lock, two processes that replace the same kit would set each other's version aside.
    waiting = f"another process is bringing in a kit of {key}: waiting"
    with locked(store.kits / f".lock-{key}", waiting=waiting):
        # Asked again: the other process may have brought in this very kit, and may read it already.
        if _is_there(source, key, store):
            return Ingested(character=key, folder=store.kit(key))
        return _bring_in(source, key, store, config)


def _is_there(source: Path, key: str, store: Store) -> bool:
    """Whether `source` is a folder of the project, or has the content of the one that the project reads."""
    # By identity: bringing in the project's own folder would set it aside and copy it onto itself.
    for folder in (store.kits / key, store.starters / key):
        if folder.is_dir() and folder.samefile(source):
            return True

    # By content: the same kit from elsewhere needs no second copy.
    current = store.kit(key)
    return current.is_dir() and kit_hash(current) == kit_hash(source)


def _bring_in(source: Path, key: str, store: Store, config: KitConfig) -> Ingested:
    # Both are decided before the copy: afterwards the target always exists.
    target = store.kits / key
    set_aside = _name_aside(target)
    will_replace = os.path.lexists(target)

    try:
        with new_folder(target, set_aside=set_aside) as part:
            _copy(source, part)

            # The copy is checked, not the source, so that what was checked is what is used even if the author
            # saves a file meanwhile.
            verdict = inspect(part, config)
            gate(verdict, kit_hash(part), source.resolve())
    except OSError as error:
        raise IngestError(
            f"{source} could not be copied to {target}: {error.strerror}; nothing was changed"
        ) from error

    replaced = set_aside if will_replace else None
    return Ingested(character=key, folder=target, verdict=verdict, replaced=replaced)


def _name_aside(target: Path) -> Path:
    """A free path `kits/.replaced/<id>-<8 hex digits of its content>[-<number>]`."""
    try:
        # Eight digits tell people the versions apart; the number below makes the name unique.
        content = kit_hash(target)[:8] if target.is_dir() else "0"
    except UserError:
        # A version that cannot be read is kept like any other.
        content = "unreadable"

    # The same content can be replaced more than once.
    name = f"{target.name}-{content}"
    folder, number = target.parent / REPLACED, 1
    free = folder / name
    while os.path.lexists(free):
        number += 1
        free = folder / f"{name}-{number}"
    return free


def _key(source: Path) -> str:
    """The id in the kit.yaml of `source`."""
    # Only kit.yaml decides the id; problems of other files belong to the checks.
    kit, problems = read_kit(source)
    bad = [f"- {problem.text}" for problem in problems if problem.file == "kit.yaml"]
    if bad:
        raise IngestError(f"{source / 'kit.yaml'} cannot be read:\n" + "\n".join(bad))

    try:
        return check_key(kit.sheet.id)
    except ValueError as error:
        raise IngestError(f"{source / 'kit.yaml'}: {error}") from error


def _copy(source: Path, target: Path) -> None:
    # Content only: permissions and times of the author's disk do not matter.
    for path in kit_files(source):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
