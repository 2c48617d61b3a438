"""`manifest.json`: what lies in an output and what it was made from. Written last, so it is the output's birth.

character, noun, preset      whose, of which stage, made with which named settings
model                        model family, nano or bagel
fingerprint                  of `recipe`: verb, code_version, config, seed, inputs (noun -> version), base_sha256
version                      what the next stages see: the fingerprint of a trained product; the content of any other, and of
                                 one that was made again by force
inputs                       noun -> fingerprint of the outputs it was made from
files                        [{"path", "size", "sha256"}], without the manifest itself
kit_hash, created_at, tools  the kit it goes back to, UTC, versions of the packages that made it
"""

import json
import time
from pathlib import Path
from typing import Any

from unichar.store.files import json_bytes, list_files, sha256_file, sync_tree, write_atomic
from unichar.store.fingerprint import fingerprint

MANIFEST = "manifest.json"
_ABOUT_THE_RUN = ("config.json", "summary.json")  # hold seconds and names, not the product


class BrokenOutput(ValueError):
    """An output is there but its files are not what its manifest says."""


def write_manifest(staged: Path, manifest: dict[str, Any], *, by_content: bool) -> dict[str, Any]:
    """Flush every file of a staged folder, then write and return its manifest: no manifest names a file that is not there.

    `by_content` makes the version the checksum of the product's files, for stages that give the same bytes each time.

    Raises:
        OSError: The disk refused.
        ValueError: The folder holds something else than plain files.
    """
    sync_tree(staged)
    files = []
    for path in list_files(staged):
        name = path.relative_to(staged).as_posix()
        files.append({"path": name, "size": path.stat().st_size, "sha256": sha256_file(path)})
    content = [[entry["path"], entry["sha256"]] for entry in files if entry["path"] not in _ABOUT_THE_RUN]
    whole = manifest | {
        "schema": 1,
        "version": fingerprint({"files": content}) if by_content else manifest["fingerprint"],
        "files": files,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_atomic(staged / MANIFEST, json_bytes(whole))
    return whole


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that the line wrote.

    Raises:
        BrokenOutput: It is something else now.
    """
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise BrokenOutput(f"{path} is damaged ({error}); delete it and run its stage again") from error
    if not isinstance(value, dict):
        raise BrokenOutput(f"{path} is damaged (no JSON object); delete it and run its stage again")
    return value
