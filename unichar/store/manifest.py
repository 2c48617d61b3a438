"""`manifest.json`: what an output consists of and what it was made from.

It is written last, which publishes the output.

character, noun, preset      the character, the stage's product, the named settings it was made with
model                        model family, nano or bagel
fingerprint                  of `recipe`: verb, code_version, config, seed, inputs (noun -> version) and
                                 base_sha256
version                      what later stages depend on: the fingerprint of a trained product; the content
                                 hash of any other, and of one that was made again with --force
inputs                       noun -> fingerprint of the outputs it was made from
files                        [{"path", "size", "sha256"}], without the manifest itself
kit_hash, created_at, tools  the kit it was made from, UTC time, versions of the packages that made it
"""

import json
import time
from pathlib import Path
from typing import Any

from unichar.errors import UserError
from unichar.store.files import json_bytes, list_files, sha256_file, sync_tree, write_atomic
from unichar.store.fingerprint import fingerprint

MANIFEST = "manifest.json"
_ABOUT_THE_RUN = ("config.json", "summary.json")
"""Files that describe the run (seconds, names); they are no part of the product, so its content hash leaves
them out.
"""


class BrokenOutput(UserError):
    """An output exists, but its files are not those that its manifest names."""

    exit_code = 1


def write_manifest(staged: Path, manifest: dict[str, Any], *, by_content: bool) -> dict[str, Any]:
    """Flush every file of a staged folder to disk, then write its manifest and return it.

    Args:
        staged: Folder with config.json, summary.json and the product.
        manifest: The fields that describe the run; `files`, `version`, `schema` and `created_at` are added.
        by_content: Make the version the hash of the product's files, for stages that give the same bytes each
            time.

    Raises:
        OSError: The disk refused.
        UserError: The folder holds something other than plain files.
    """
    # Before the manifest: no manifest may name a file that a power cut could still take.
    sync_tree(staged)

    # Every file with its checksum, by which readers and other machines verify it.
    files = []
    for path in list_files(staged):
        name = path.relative_to(staged).as_posix()
        files.append({"path": name, "size": path.stat().st_size, "sha256": sha256_file(path)})

    # Without what differs from run to run, such as seconds.
    content = [[entry["path"], entry["sha256"]] for entry in files if entry["path"] not in _ABOUT_THE_RUN]

    # A rerun of a deterministic stage gives the same content and therefore the same version.
    whole = manifest | {
        "schema": 1,
        "version": fingerprint({"files": content}) if by_content else manifest["fingerprint"],
        "files": files,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_atomic(staged / MANIFEST, json_bytes(whole))
    return whole


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of the store that holds a JSON object.

    Raises:
        BrokenOutput: It holds something else.
    """
    try:
        # ValueError covers broken JSON and text that is not UTF-8.
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise BrokenOutput(f"{path} is damaged ({error}); delete it and run its stage again") from error

    if not isinstance(value, dict):
        raise BrokenOutput(f"{path} is damaged (no JSON object); delete it and run its stage again")
    return value
