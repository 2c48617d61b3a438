from pathlib import Path

import pytest
from factories_kit import make_kit

from unichar.kit.content import kit_hash


def test_the_hash_is_the_one_dvc_gives_to_a_folder(tmp_path: Path) -> None:
    """Value of `dvc add` (DVC 3, .dvcignore with `.*`) on these very files."""
    (tmp_path / "images").mkdir()
    (tmp_path / "kit.yaml").write_text("id: pip\n")
    (tmp_path / "images" / "é 1.txt").write_text("café\n", encoding="utf-8")
    (tmp_path / "empty.md").write_text("")
    assert kit_hash(tmp_path) == "57f058e6e588249fe09dba1605c2fb52.dir"


def test_hidden_files_do_not_count(tmp_path: Path) -> None:
    kit = make_kit(tmp_path)
    before = kit_hash(kit)
    (kit / ".DS_Store").write_bytes(b"x")
    (kit / "images" / ".DS_Store").write_bytes(b"x")
    (kit / ".git").mkdir()
    (kit / ".git" / "config").write_text("x")
    assert kit_hash(kit) == before


@pytest.mark.parametrize("change", ["text", "name", "new"])
def test_every_other_change_counts(tmp_path: Path, change: str) -> None:
    kit = make_kit(tmp_path)
    before = kit_hash(kit)
    if change == "text":
        (kit / "profile.md").write_text("other")
    elif change == "name":
        (kit / "images" / "00.png").rename(kit / "images" / "zero.png")
    else:
        (kit / "notes.txt").write_text("")
    assert kit_hash(kit) != before


def test_the_place_of_the_kit_does_not_count(tmp_path: Path) -> None:
    assert kit_hash(make_kit(tmp_path / "a")) == kit_hash(make_kit(tmp_path / "b"))


def test_a_missing_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no kit folder"):
        kit_hash(tmp_path / "nobody")
