import shutil
from pathlib import Path

import pytest
from factories_kit import make_kit

from unichar.kit.content import kit_hash
from unichar.kit.folders import new_folder
from unichar.kit.ingest import IngestError, ingest
from unichar.kit.schema import load_kit


def test_a_kit_is_brought_in_under_its_id(tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    source = source.rename(tmp_path / "desk" / "My Frog (final)")
    (source / ".DS_Store").write_bytes(b"x")
    assert ingest(source, tmp_path / "data") == "pip"
    target = tmp_path / "data" / "characters" / "pip"
    assert load_kit(target).sheet.name == "Pip"
    assert kit_hash(target) == kit_hash(source)
    assert not (target / ".DS_Store").exists()
    assert [path.name for path in target.parent.iterdir()] == ["pip"]


def test_bringing_the_same_kit_again_changes_nothing(tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    ingest(source, tmp_path / "data")
    before = (tmp_path / "data" / "characters" / "pip").stat().st_mtime_ns
    assert ingest(source, tmp_path / "data") == "pip"
    assert (tmp_path / "data" / "characters" / "pip").stat().st_mtime_ns == before


def test_another_kit_under_the_same_id_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    ingest(source, tmp_path / "data")
    target = tmp_path / "data" / "characters" / "pip"
    before = kit_hash(target)
    (source / "profile.md").write_text("other")
    with pytest.raises(IngestError, match="holds another kit already"):
        ingest(source, tmp_path / "data")
    assert kit_hash(target) == before


@pytest.mark.parametrize("id", ["Pip", "../pip", "", "a b"])
def test_a_bad_id_is_refused(tmp_path: Path, id: str) -> None:
    with pytest.raises(IngestError, match="cannot be a character's id"):
        ingest(make_kit(tmp_path, "desk").parent / make_bad(tmp_path, id), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def make_bad(parent: Path, id: str) -> str:
    text = (parent / "desk" / "kit.yaml").read_text().replace("id: desk", f"id: '{id}'")
    (parent / "desk" / "kit.yaml").write_text(text)
    return "desk"


def test_a_missing_folder_or_sheet_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="there is no folder"):
        ingest(tmp_path / "nobody", tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestError, match="is missing"):
        ingest(tmp_path / "empty", tmp_path / "data")


def test_links_are_refused(tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (source / "images" / "10.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(IngestError, match=r"10\.png is a link"):
        ingest(source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_kit(tmp_path / "desk")
    done: list[Path] = []

    def fill_up(path: Path, place: Path) -> None:
        done.append(place)
        if len(done) == 5:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill_up)
    with pytest.raises(IngestError, match="No space left on device; nothing was changed"):
        ingest(source, tmp_path / "data")
    assert list((tmp_path / "data" / "characters").iterdir()) == []


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "pip"
    with pytest.raises(OSError), new_folder(target) as part:
        (part / "a").write_text("ours")
        target.mkdir()
        (target / "b").write_text("theirs")
    assert [path.name for path in tmp_path.rglob("*")] == ["pip", "b"]
