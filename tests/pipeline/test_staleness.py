"""Which folders are kits; the rest of watching is tested through the sensor and the schedule that use it."""

from pathlib import Path

from factories_kit import make_kit

from unichar.kit.content import kit_hash
from unichar.pipeline.staleness import scan_kits, staleness
from unichar.store.store import Store


def test_a_scan_names_kits_with_their_version_and_says_why_others_are_none(tmp_path: Path) -> None:
    kit = make_kit(tmp_path / "characters", "pip")
    for name in ("New Folder", ".cache", "empty"):
        (tmp_path / "characters" / name).mkdir()
    scan = scan_kits(Store(tmp_path, tmp_path))
    assert scan.versions == {"pip": kit_hash(kit)}
    assert set(scan.skipped) == {"New Folder", "empty"}


def test_without_a_data_folder_there_are_no_kits(tmp_path: Path) -> None:
    assert scan_kits(Store(tmp_path, tmp_path / "none")).versions == {}


def test_who_was_never_evaluated_is_not_due(tmp_path: Path) -> None:
    found = staleness("pip", Store(tmp_path, tmp_path))
    assert not found.due
    assert found.reason.startswith("has no report yet")


def test_kits_of_users_and_starter_characters_are_both_seen(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path / "data")
    starter, own = make_kit(store.starters, "pip"), make_kit(store.kits, "tock", name="Tock")
    (store.kits / ".replaced").mkdir()
    assert scan_kits(store).versions == {"pip": kit_hash(starter), "tock": kit_hash(own)}


def test_a_users_kit_comes_before_a_starter_with_the_same_id(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path / "data")
    make_kit(store.starters, "pip")
    own = make_kit(store.kits, "pip", profile="Another Pip.")
    assert scan_kits(store).versions == {"pip": kit_hash(own)}


def test_a_folder_without_kit_yaml_hides_no_starter(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path / "data")
    starter = make_kit(store.starters, "pip")
    (store.kits / "pip").mkdir(parents=True)
    scan = scan_kits(store)
    assert scan.versions == {"pip": kit_hash(starter)}
    assert "it has no kit.yaml" in scan.skipped["pip"]
