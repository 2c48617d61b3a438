"""What a manifest says of an output."""

from pathlib import Path

import pytest
from factories_store import make_manifest

from unichar.store.files import sha256_file
from unichar.store.manifest import BrokenOutput, read_json, write_manifest


def staged(folder: Path, **files: str) -> Path:
    """A folder as a stage leaves it."""
    folder.mkdir()
    for name, text in {"config.json": "{}", "summary.json": '{"seconds": 1}', **files}.items():
        (folder / name).write_text(text)
    return folder


def test_a_manifest_names_every_file_with_size_and_checksum(tmp_path: Path) -> None:
    folder = staged(tmp_path / "out", weights="abc")
    (folder / "adapters").mkdir()
    (folder / "adapters" / "a.txt").write_text("a")

    manifest = write_manifest(folder, make_manifest() | {"fingerprint": "f" * 16}, by_content=False)

    assert read_json(folder / "manifest.json") == manifest
    assert [entry["path"] for entry in manifest["files"]] == [
        "adapters/a.txt",
        "config.json",
        "summary.json",
        "weights",
    ]
    assert manifest["files"][-1] == {"path": "weights", "size": 3, "sha256": sha256_file(folder / "weights")}
    assert (manifest["version"], manifest["schema"]) == ("f" * 16, 1)


def test_a_content_version_ignores_how_the_run_went_and_nothing_else(tmp_path: Path) -> None:
    about = make_manifest() | {"fingerprint": "f" * 16}
    versions = [
        write_manifest(staged(tmp_path / name, **files), about, by_content=True)["version"]
        for name, files in {
            "first": {"data": "x"},
            "slower": {"data": "x", "summary.json": '{"seconds": 2}'},
            "other": {"data": "y"},
            "renamed": {"datum": "x"},
        }.items()
    ]
    assert versions[0] == versions[1] and len(set(versions)) == 3
    assert versions[0] != "f" * 16


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_file_that_holds_no_json_object_is_broken(tmp_path: Path, text: str) -> None:
    (tmp_path / "CURRENT.json").write_text(text)
    with pytest.raises(BrokenOutput, match=r"CURRENT\.json is damaged .*; delete it and run its stage again"):
        read_json(tmp_path / "CURRENT.json")
