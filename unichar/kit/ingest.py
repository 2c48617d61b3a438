"""Bring a kit into the project: copy a folder to `data/characters/<id>/`, whole or not at all.

ingest(Path("~/mochi").expanduser(), Path("data"))
"""

import shutil
from pathlib import Path

from unichar.kit.content import kit_files, kit_hash
from unichar.kit.folders import new_folder
from unichar.kit.schema import check_key, read_kit


class IngestError(ValueError):
    """A kit cannot be brought in; nothing was changed."""


def ingest(source: Path, data: Path) -> str:
    """Copy the kit folder `source` to `data/characters/<id>/` and return its id; hidden files stay behind.

    The id is the one in kit.yaml, so the folder may have any name. A kit that is there already with the same content is left
    alone. Whether the kit is good is the matter of validation.

    Raises:
        IngestError: There is no such folder, its id is missing or invalid, it holds links, or another kit has this id.
    """
    if not source.is_dir():
        raise IngestError(f"there is no folder {source}; name the folder that holds kit.yaml")
    key = _key(source)
    target = data / "characters" / key
    links = [path for path in source.rglob("*") if path.is_symlink()]
    if links:
        raise IngestError(
            f"{links[0]} is a link; a kit is brought in with plain files only, so replace it by a copy"
        )
    if target.exists():
        if kit_hash(target) == kit_hash(source):
            return key
        raise IngestError(
            f"{target} holds another kit already; remove that folder if this kit replaces it, or give this one another id in "
            f"{source / 'kit.yaml'}"
        )
    _copy(source, target)
    return key


def _key(source: Path) -> str:
    kit, problems = read_kit(source)
    bad = [f"- {problem.text}" for problem in problems if problem.file == "kit.yaml"]
    if bad:
        raise IngestError(f"{source / 'kit.yaml'} cannot be read:\n" + "\n".join(bad))
    try:
        return check_key(kit.sheet.id)
    except ValueError as error:
        raise IngestError(f"{source / 'kit.yaml'}: {error}") from error


def _copy(source: Path, target: Path) -> None:
    try:
        with new_folder(target) as part:
            for path in kit_files(source):
                place = part / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
    except OSError as error:
        raise IngestError(
            f"{source} could not be copied to {target}: {error.strerror}; nothing was changed"
        ) from error
