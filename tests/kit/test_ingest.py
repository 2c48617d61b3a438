"""Bringing a kit in: checked first, copied complete or not at all, and no file of a user is ever lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories_kit import make_kit, pip_profile

from unichar.kit.config import KitConfig
from unichar.kit.content import kit_hash
from unichar.kit.ingest import Ingested, IngestError, ingest
from unichar.kit.schema import load_kit
from unichar.kit.verdict import KitRejected
from unichar.store.store import Store

EDITED = pip_profile() + "- Pip whistles.\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home", tmp_path / "home" / "data")


def bring_in(source: Path, store: Store) -> Ingested:
    return ingest(source, store, KitConfig())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_kit_is_brought_in_under_its_id(store: Store, tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk").rename(tmp_path / "desk" / "My Frog (final)")
    (source / ".DS_Store").write_bytes(b"x")
    kit = bring_in(source, store)

    assert (kit.character, kit.folder, kit.replaced) == ("pip", store.kits / "pip", None)
    assert kit.verdict and kit.verdict.passed and kit.verdict.kit_hash == kit_hash(source)
    assert load_kit(kit.folder).sheet.name == "Pip"
    assert kit_hash(kit.folder) == kit_hash(source)
    assert not (kit.folder / ".DS_Store").exists()
    assert [path.name for path in store.kits.iterdir()] == ["pip"]
    assert store.kit("pip") == kit.folder


def test_bringing_the_same_kit_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    bring_in(source, store)
    before = (store.kits / "pip").stat().st_mtime_ns
    again = bring_in(source, store)
    assert again == Ingested(character="pip", folder=store.kits / "pip")
    assert (store.kits / "pip").stat().st_mtime_ns == before


def test_a_kit_that_another_process_brings_in_meanwhile_is_not_replaced_by_itself(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_kit(tmp_path / "desk")

    @contextlib.contextmanager
    def other_comes_first(path: Path, *, waiting: str) -> Iterator[None]:
        monkeypatch.undo()
        bring_in(source, store)
        yield

    monkeypatch.setattr("unichar.kit.ingest.locked", other_comes_first)
    assert bring_in(source, store) == Ingested(character="pip", folder=store.kits / "pip")
    assert [path.name for path in store.kits.iterdir()] == ["pip"]


def test_a_rejected_kit_is_not_copied_and_the_message_names_the_authors_folder(
    store: Store, tmp_path: Path
) -> None:
    source = make_kit(tmp_path / "desk", rights=None, profile="").rename(tmp_path / "desk" / "My Frog")
    with pytest.raises(KitRejected) as caught:
        bring_in(source, store)
    said = str(caught.value)
    assert f"edit its files in {source}, then" in said
    assert "rights_stated" in said and "profile.md" in said and "home" not in said
    assert "key_valid" not in said  # the name of the author's folder does not matter
    assert list(store.kits.iterdir()) == []


def test_an_edited_kit_replaces_the_old_one_which_is_kept_whole(store: Store, tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    bring_in(source, store)
    (store.kits / "pip" / ".git").mkdir()
    (store.kits / "pip" / ".git" / "HEAD").write_text("a hidden file of the user")
    before = contents(store.kits / "pip")
    old = kit_hash(store.kits / "pip")

    (source / "profile.md").write_text(EDITED)
    kit = bring_in(source, store)
    assert kit.replaced == store.kits / ".replaced" / f"pip-{old[:8]}"
    assert contents(kit.replaced) == before
    assert kit_hash(store.kit("pip")) == kit_hash(source)


def test_versions_that_are_replaced_twice_are_all_kept(store: Store, tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    names = []
    for text in (pip_profile(), EDITED, pip_profile(), EDITED):
        (source / "profile.md").write_text(text)
        replaced = bring_in(source, store).replaced
        names.append(replaced.name if replaced else "")
    first, second, third = names[1:]
    assert names[0] == "" and third == f"{first}-2" and len({first, second, third}) == 3
    assert {path.name for path in (store.kits / ".replaced").iterdir()} == {first, second, third}


def test_a_broken_edit_leaves_the_good_version_in_use(store: Store, tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    bring_in(source, store)
    before = contents(store.kits)
    (source / "profile.md").write_text("")
    with pytest.raises(KitRejected):
        bring_in(source, store)
    assert contents(store.kits) == before


def test_a_file_in_the_place_of_the_folder_is_kept_too(store: Store, tmp_path: Path) -> None:
    store.kits.mkdir(parents=True)
    (store.kits / "pip").write_text("notes")
    kit = bring_in(make_kit(tmp_path / "desk"), store)
    assert kit.replaced and kit.replaced.read_text() == "notes"


def test_a_starter_character_is_used_where_it_lies(store: Store) -> None:
    starter = make_kit(store.starters)
    assert bring_in(starter, store) == Ingested(character="pip", folder=starter)
    assert not store.kits.exists()


def test_an_edited_copy_of_a_starter_comes_before_it_and_leaves_it_alone(
    store: Store, tmp_path: Path
) -> None:
    starter = make_kit(store.starters)
    before = contents(starter)
    copy = make_kit(tmp_path / "desk", profile=EDITED)
    kit = bring_in(copy, store)
    assert (kit.folder, kit.replaced) == (store.kits / "pip", None)
    assert store.kit("pip") == kit.folder and contents(starter) == before

    # Asking for the starter by its folder replaces nothing: the user's kit stays the one in use.
    assert bring_in(starter, store) == Ingested(character="pip", folder=store.kits / "pip")


@pytest.mark.parametrize("id", ["Pip", "../pip", "", "a b"])
def test_a_bad_id_is_refused(store: Store, tmp_path: Path, id: str) -> None:
    source = make_kit(tmp_path, "desk")
    sheet = source / "kit.yaml"
    sheet.write_text(sheet.read_text().replace("id: desk", f"id: '{id}'"))
    with pytest.raises(IngestError, match="cannot be a character's id"):
        bring_in(source, store)
    assert not store.home.exists()


def test_a_missing_folder_or_sheet_is_said_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="there is no folder"):
        bring_in(tmp_path / "nobody", store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestError, match="is missing"):
        bring_in(tmp_path / "empty", store)


def test_links_are_refused(store: Store, tmp_path: Path) -> None:
    source = make_kit(tmp_path / "desk")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (source / "images" / "10.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(IngestError, match=r"10\.png is a link"):
        bring_in(source, store)
    assert not store.home.exists()


def test_a_copy_that_fails_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_kit(tmp_path / "desk")
    done: list[Path] = []

    def fill_up(path: Path, copy: Path) -> None:
        done.append(copy)
        if len(done) == 5:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fill_up)
    with pytest.raises(IngestError, match="No space left on device; nothing was changed"):
        bring_in(source, store)
    assert list(store.kits.iterdir()) == []


SLOW_COPY = """
import shutil, sys, time
from pathlib import Path
from unichar.kit.config import KitConfig
from unichar.kit.ingest import ingest
from unichar.store.store import Store
copy = shutil.copyfile
shutil.copyfile = lambda path, to: (copy(path, to), time.sleep(0.3))
home = Path(sys.argv[2])
ingest(Path(sys.argv[1]), Store(home, home / "data"), KitConfig())
"""


def test_a_killed_copy_leaves_the_old_version_in_use_and_the_next_one_works(
    store: Store, tmp_path: Path
) -> None:
    source = make_kit(tmp_path / "desk")
    bring_in(source, store)
    old = kit_hash(store.kit("pip"))
    (source / "profile.md").write_text(EDITED)

    process = subprocess.Popen([sys.executable, "-c", SLOW_COPY, str(source), str(store.home)])
    deadline = time.monotonic() + 60
    while not list(store.kits.glob(".tmp-pip-*/pip/*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert kit_hash(store.kit("pip")) == old
    assert [path.name for path in store.kits.iterdir() if not path.name.startswith(".")] == ["pip"]
    assert bring_in(source, store).replaced
    assert kit_hash(store.kit("pip")) == kit_hash(source)
