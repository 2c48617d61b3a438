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
