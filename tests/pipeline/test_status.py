"""What status, dry runs and the doctor say."""

import os
import time

import pytest
from factories_pipeline import Toys, edit_kit, make_store

from unichar.errors import UserError
from unichar.pipeline import status
from unichar.pipeline.run import customize
from unichar.pipeline.status import characters, doctor, forecast, stage_statuses, status_table
from unichar.stages import STAGES, VERBS
from unichar.store.files import locked
from unichar.store.store import Store


def states(store: Store) -> dict[str, str]:
    """Verb -> state of its output."""
    return {row.stage.verb: row.state for row in stage_statuses("pip", store)}


def told(store: Store, *, seed: int = 0, preset: str = "smoke") -> dict[str, str]:
    """Verb -> what a dry run says."""
    return {stage.verb: words for stage, words in forecast("pip", preset=preset, seed=seed, store=store)}


def test_a_fresh_line_is_up_to_date(store: Store) -> None:
    assert set(states(store).values()) == {"up to date"}
    assert all(words.startswith("already there (") for words in told(store).values())
    table = status_table(store)
    assert table.startswith("pip  (promoted: none yet)")  # the fixture's preset is smoke
    assert len(table.splitlines()) == 8


def test_the_promoted_checkpoint_is_named(store: Store, toys: Toys) -> None:
    customize("pip", preset="cpu", store=store)
    promoted = store.current("pip", "grpo_checkpoint").fingerprint
    assert status_table(store).startswith(f"pip  (promoted: {promoted})")


def test_an_empty_line_says_how_to_begin(tmp_path) -> None:
    assert status_table(Store(tmp_path, tmp_path / "data")).startswith("no characters yet: run `make data`")


def test_a_character_that_is_not_there_is_named_beside_those_that_are(store: Store) -> None:
    with pytest.raises(UserError, match=r"there is no character 'pipp'.*there are pip"):
        status_table(store, only="pipp")


def test_a_character_without_outputs_and_outputs_without_a_kit_are_listed(store: Store) -> None:
    make_store(store.home / "other", "tock")
    (store.home / "other" / "data" / "characters" / "tock").rename(store.data / "characters" / "tock")
    (store.data / "characters" / "pip").rename(store.home / "pip kit")
    assert characters(store) == ["pip", "tock"]
    assert states(store)["validate"].startswith("unknown: there is no kit for 'pip'")
    assert {row.state for row in stage_statuses("tock", store)} == {"never made"}


def test_stale_says_what_changed(store: Store, toys: Toys) -> None:
    edit_kit(store, "pip", "dialogues.jsonl", "hopped home", "jumped home")
    (store.data / "models" / "nano" / "base.safetensors").write_bytes(b"another")
    found = states(store)
    assert found["validate"] == found["curate"] == "stale: raw_kit changed"
    assert found["synthesize"] == "up to date"  # nothing that it reads has changed yet
    assert found["sft"] == "stale: another base model"


def test_a_dry_run_tells_what_can_be_told(store: Store, toys: Toys) -> None:
    before = sorted(store.runs.rglob("*"))
    predicted = told(store, seed=4)
    assert predicted["validate"] == predicted["curate"] == "would run: seed 0 -> 4"
    assert predicted["synthesize"] == "would run, unless curated_kit came out as before"
    (store.data / "models" / "nano" / "base.safetensors").write_bytes(b"another")
    predicted = told(store)
    assert predicted["sft"] == "would run: another base model"
    assert predicted["evaluate"] == "would run, unless sft_checkpoint, grpo_checkpoint came out as before"
    assert sorted(store.runs.rglob("*")) == before and toys.ran == []


def test_a_dry_run_of_a_new_character_needs_its_kit(tmp_path) -> None:
    store = make_store(tmp_path, "pip")
    assert list(told(store)) == list(VERBS)
    assert told(store)["validate"] == "would run: never made"
    with pytest.raises(FileNotFoundError, match="no kit for 'tock'"):
        forecast("tock", preset="smoke", seed=0, store=store)
    assert not store.runs.exists()


def test_the_doctor_removes_what_dead_runs_left_yesterday_and_nothing_else(store: Store) -> None:
    folder = store.stage_folder("pip", "sft_checkpoint")
    old, former_scratch = folder / ".tmp-k1-a", folder / ".work-k1"
    new, alive, scratch = folder / ".tmp-k2-b", folder / ".tmp-k3-c", folder / ".scratch-k1"
    for path in (old, former_scratch, new, alive, scratch):
        path.mkdir()
    (old / "weights").write_text("half")
    file = folder / ".tmp-CURRENT.json-d"
    file.write_text("{")
    for path in (old, former_scratch, alive, scratch, file):
        os.utime(path, (time.time() - 90_000,) * 2)

    with locked(store.lock_file("pip", "sft_checkpoint", "k3"), waiting=""):
        removed, problems = doctor(store)

    assert removed == [file, old, former_scratch] and problems == []
    assert new.exists() and alive.exists() and scratch.exists()


def test_what_a_living_run_removes_meanwhile_does_not_stop_the_doctor(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = store.runs / "pip" / ".tmp-CHAMPION.json-abcd"
    monkeypatch.setattr(status, "_leftovers", lambda store: [gone])
    assert doctor(store) == ([], [])


def test_the_doctor_names_every_broken_output(store: Store) -> None:
    weights = store.current("pip", "sft_checkpoint").folder / "adapters" / "weights.txt"
    stat = weights.stat()
    weights.write_text("sft 1")  # same size and, as after bit rot, same time
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (store.current("pip", "interactions").folder / "manifest.json").unlink()
    (store.current("pip", "release").folder.parent / "CURRENT.json").write_text("{")
    _, problems = doctor(store)
    assert len(problems) == 4
    for part in (
        "weights.txt was changed",
        "has no manifest.json",
        "has no interactions yet",
        "CURRENT.json is damaged",
    ):
        assert any(part in problem for problem in problems), part
    assert "broken: " in states(store)["release"]
    assert len(status_table(store).splitlines()) == len(STAGES)
