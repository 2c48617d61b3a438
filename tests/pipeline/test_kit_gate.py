"""The verdict on a kit is recorded, reused for the same kit and checks only, and required before training."""

from pathlib import Path

import pytest
from factories_pipeline import edit_kit, make_store

from unichar.kit.verdict import KitRejected
from unichar.pipeline import kit_gate
from unichar.pipeline.kit_gate import check_gate, check_kit, recorded_verdict
from unichar.pipeline.lineage import hash_kit
from unichar.store.store import BrokenOutput, MissingOutput, Store


def record_of(store: Store) -> Path | None:
    """The recorded verdict on pip's kit as it is now."""
    return recorded_verdict("pip", kit_hash=hash_kit("pip", store), preset="smoke", store=store)


def test_a_recorded_verdict_counts_for_the_same_kit_and_the_same_checks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path, "pip")
    assert record_of(store) is None
    verdict = check_kit("pip", preset="smoke", store=store)
    path = record_of(store)
    assert path == store.runs / "pip" / "0_raw_kit" / verdict.kit_hash / "validation.json"

    with monkeypatch.context() as patch:
        patch.setattr(kit_gate, "code_version", lambda packages: "other checks")
        assert record_of(store) is None
    edit_kit(store, "pip", "profile.md", "Herons", "Storks and herons")
    assert record_of(store) is None


def test_a_verdict_that_was_just_reached_is_recorded_without_checking_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path, "pip")
    verdict = check_kit("pip", preset="smoke", store=store)
    with monkeypatch.context() as patch:
        patch.setattr("unichar.kit.validate.inspect", lambda *arguments: pytest.fail("checked twice"))
        assert check_kit("pip", preset="smoke", store=store, verdict=verdict) == verdict


def test_training_needs_a_kit_that_was_checked(tmp_path: Path) -> None:
    with pytest.raises(MissingOutput, match="pip has no validated_kit yet"):
        check_gate("pip", make_store(tmp_path, "pip"))


def test_training_needs_the_kit_as_it_was_checked(store: Store) -> None:
    check_gate("pip", store)
    edit_kit(store, "pip", "profile.md", "Herons", "Storks and herons")
    with pytest.raises(KitRejected, match="its files changed since validation"):
        check_gate("pip", store)


def test_a_verdict_that_was_edited_is_refused(store: Store) -> None:
    path = store.current("pip", "validated_kit").folder / "validation.json"
    path.write_text(path.read_text().replace('"passed": true', '"passed":  true'))
    with pytest.raises(BrokenOutput, match=r"validation\.json was changed"):
        check_gate("pip", store)
