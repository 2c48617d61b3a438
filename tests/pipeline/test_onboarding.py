"""The loop of an author: bring a kit in, read why it was rejected, mend the folder, bring it in again."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories_kit import make_kit, pip_profile
from factories_pipeline import Toys, make_store

from unichar.cli import main
from unichar.kit.content import kit_hash
from unichar.kit.verdict import KitRejected
from unichar.pipeline.kit_gate import check_kit
from unichar.pipeline.onboarding import onboard
from unichar.pipeline.run import run_stage
from unichar.store.store import Store

EDITED = pip_profile() + "- Pip whistles.\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty project that the environment points to; it has a base model that nobody can load."""
    store = make_store(tmp_path / "home")
    monkeypatch.setenv("UNICHAR_HOME", str(store.home))
    monkeypatch.setenv("UNICHAR_DATA", str(store.data))
    for name in ("UNICHAR_KITS", "UNICHAR_STORE"):
        monkeypatch.delenv(name, raising=False)
    return store


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_broken_kit_is_mended_in_its_own_folder_and_the_same_command_works(
    home: Store, toys: Toys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = make_kit(tmp_path / "desk", profile="").rename(tmp_path / "desk" / "My Frog")
    command = ["onboard", str(kit), "--preset", "cpu"]
    assert main(command) == 1
    assert f"edit its files in {kit}, then run the same command again" in capsys.readouterr().err
    assert not home.kit("pip").exists() and toys.ran == []

    # Mended: the same command makes the character.
    (kit / "profile.md").write_text(pip_profile())
    assert main(command) == 0
    assert kit_hash(home.kits / "pip") == kit_hash(kit)
    assert toys.ran == ["sft", "grpo", "evaluate"]
    first, before = home.current("pip", "curated_kit").manifest["kit_hash"], contents(home.kits / "pip")

    # Edited: the same command replaces the kit, keeps the version before, and makes the character again.
    (kit / "profile.md").write_text(EDITED)
    assert main(command) == 0
    assert home.current("pip", "validated_kit").manifest["kit_hash"] == kit_hash(kit) != first
    assert contents(home.kits / ".replaced" / f"pip-{first[:8]}") == before


def test_the_real_command_rejects_a_kit_in_one_message_and_leaves_nothing(
    home: Store, tmp_path: Path
) -> None:
    kit = make_kit(tmp_path / "desk", rights=None)
    command = [sys.executable, "-m", "unichar", "onboard", str(kit), "--preset", "smoke"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: the kit was rejected; edit its files in {kit}, then" in done.stderr
    assert "rights_stated" in done.stderr and "Traceback" not in done.stderr
    assert list(home.kits.iterdir()) == [] and not home.runs.exists()


def test_what_happened_is_said(home: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kit = make_kit(tmp_path / "desk")
    with caplog.at_level(logging.INFO):
        assert onboard(kit) == "pip"
    assert f"pip: copied to {home.kits / 'pip'}" in caplog.text and "before" not in caplog.text

    caplog.clear()
    (kit / "profile.md").write_text(EDITED)
    with caplog.at_level(logging.INFO):
        onboard(kit)
    assert f"pip: the version before is kept in {home.kits / '.replaced'}/pip-" in caplog.text

    caplog.clear()
    with caplog.at_level(logging.INFO):
        onboard(kit)
    assert "copied" not in caplog.text and "kept" not in caplog.text


def test_which_of_two_kits_with_one_id_is_used_is_said(
    home: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    starter, own = make_kit(home.starters), make_kit(tmp_path / "desk", profile=EDITED)
    with caplog.at_level(logging.INFO):
        onboard(starter)
    assert "is used" not in caplog.text

    with caplog.at_level(logging.INFO):
        onboard(own)
    assert f"pip: {home.kits / 'pip'} is used, not {starter}" in caplog.text
    assert kit_hash(home.kit("pip")) == kit_hash(own)


def test_a_kit_that_was_brought_in_is_not_checked_twice(
    home: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onboard(make_kit(tmp_path / "desk"), preset="smoke")

    def checked_again(*arguments: object) -> None:
        raise AssertionError("the checks ran again")

    monkeypatch.setattr("unichar.kit.validate.inspect", checked_again)
    assert run_stage("validate", "pip", preset="smoke", store=home).fresh


def test_a_kit_edited_in_place_is_rejected_with_its_own_folder(home: Store, tmp_path: Path) -> None:
    onboard(make_kit(tmp_path / "desk"))
    (home.kits / "pip" / "profile.md").write_text("")
    assert not check_kit("pip").passed
    with pytest.raises(KitRejected, match=f"edit its files in {home.kits / 'pip'}, then"):
        run_stage("validate", "pip", store=home)
