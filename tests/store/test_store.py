"""Outputs appear complete or not at all, whatever fails, and a reader notices damage."""

import multiprocessing
import resource
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from factories_store import make_manifest, make_output, make_store

from unichar.stages import stage_of
from unichar.store.fingerprint import fingerprint
from unichar.store.store import BrokenOutput, MissingOutput, Store, StoreError

TESTS = Path(__file__).parents[1]


def leftovers(store: Store) -> list[str]:
    """Temporary files and folders below `runs`."""
    return [path.name for path in store.runs.rglob(".tmp-*")]


def test_a_published_output_is_the_current_one(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    made = make_output(store, files={"adapters/weights.txt": "w", "curve.jsonl": "{}\n"})
    found = store.current("pip", "sft_checkpoint")
    assert (made.fresh, found.fresh) == (True, False)
    assert found.folder == tmp_path / "runs" / "pip" / "4_sft_checkpoint" / found.fingerprint
    assert found.summary == {"loss": 0.5}
    assert [entry["path"] for entry in found.manifest["files"]] == [
        "adapters/weights.txt",
        "config.json",
        "curve.jsonl",
        "summary.json",
    ]
    assert found.fingerprint == fingerprint(found.manifest["recipe"])
    store.verify(found)
    assert leftovers(store) == []


def test_a_missing_output_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(
        MissingOutput,
        match=r"pip has no curated_kit yet: run `python -m unichar curate --character pip` first",
    ):
        make_store(tmp_path).current("pip", "curated_kit")


def test_a_folder_without_manifest_does_not_exist(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    output = make_output(store)
    (output.folder / "manifest.json").unlink()
    assert store.find("pip", "sft_checkpoint", output.fingerprint) is None
    with pytest.raises(MissingOutput):
        store.current("pip", "sft_checkpoint")
    # And it does not block a new output with the same fingerprint.
    again = make_output(store)
    assert (again.folder / "adapters" / "weights.txt").read_text() == "weights 0"


def test_the_newest_is_current_and_older_ones_stay(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    first, second = make_output(store, seed=1), make_output(store, seed=2)
    assert store.current("pip", "sft_checkpoint").fingerprint == second.fingerprint
    store.use(first)
    assert store.current("pip", "sft_checkpoint").fingerprint == first.fingerprint
    store.verify(second)


def test_characters_and_stages_do_not_share_outputs(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    pip, tock = make_output(store), make_output(store, character="tock")
    assert pip.fingerprint == tock.fingerprint and pip.folder != tock.folder
    with pytest.raises(MissingOutput):
        store.current("tock", "grpo_checkpoint")


def test_the_first_of_two_outputs_with_one_fingerprint_stays_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store = make_store(tmp_path)
    make_output(store, files={"a.txt": "first"})
    second = make_output(store, files={"a.txt": "second"})
    assert (second.folder / "a.txt").read_text() == "first"
    third = make_output(store, files={"a.txt": "third"}, force=True)
    assert (third.folder / "a.txt").read_text() == "third"
    assert third.fingerprint == second.fingerprint
    store.verify(store.current("pip", "sft_checkpoint"))


def test_versions_are_content_hashes_of_data_and_fingerprints_of_weights(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    same = [make_output(store, "interactions", files={"train.jsonl": "{}\n"}, seed=seed) for seed in (1, 2)]
    assert same[0].fingerprint != same[1].fingerprint and same[0].version == same[1].version
    other = make_output(store, "interactions", files={"train.jsonl": "{} \n"}, seed=3)
    assert other.version != same[0].version
    trained = [make_output(store, files={"w": "same"}, seed=seed) for seed in (1, 2)]
    assert [output.version for output in trained] == [output.fingerprint for output in trained]
    forced = make_output(store, files={"w": "other"}, seed=2, force=True)
    assert forced.fingerprint == trained[1].fingerprint and forced.version != trained[1].version


@pytest.mark.parametrize("damage", ["changed", "longer", "missing"])
def test_damage_is_noticed_and_the_message_says_how_to_mend_it(tmp_path: Path, damage: str) -> None:
    store = make_store(tmp_path)
    output = make_output(store)
    store.verify(output)
    path = output.folder / "adapters" / "weights.txt"
    path.unlink() if damage == "missing" else path.write_text(
        "weights 1" if damage == "changed" else "weights 0 and more"
    )
    with pytest.raises(
        BrokenOutput, match=r"weights\.txt .*run `python -m unichar sft --character pip --force`"
    ):
        store.verify(output)


def test_checksums_are_remembered_until_a_file_changes(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    path = tmp_path / "base.safetensors"
    path.write_bytes(b"weights")
    first = store.hashes.sha256(path)
    assert make_store(tmp_path).hashes.sha256(path) == first
    assert str(path) in (store.runs / ".sha256.json").read_text()
    path.write_bytes(b"others!")
    assert store.hashes.sha256(path) != first


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_damaged_pointer_or_manifest_says_which_file(tmp_path: Path, text: str) -> None:
    store = make_store(tmp_path)
    output = make_output(store)
    pointer = output.folder.parent / "CURRENT.json"
    kept = pointer.read_text()
    pointer.write_text(text)
    with pytest.raises(BrokenOutput, match=r"CURRENT\.json is damaged"):
        store.current("pip", "sft_checkpoint")
    pointer.write_text(kept)
    (output.folder / "manifest.json").write_text(text)
    with pytest.raises(BrokenOutput, match=r"manifest\.json is damaged"):
        store.current("pip", "sft_checkpoint")


def test_a_manifest_that_was_edited_is_not_the_published_one(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    path = make_output(store).folder / "manifest.json"
    path.write_text(path.read_text().replace('"preset": "smoke"', '"preset": "bagel"'))
    with pytest.raises(BrokenOutput, match="is not the one that was published"):
        store.current("pip", "sft_checkpoint")


def test_a_link_is_refused(tmp_path: Path) -> None:
    store, about = make_store(tmp_path), make_manifest()
    with store.staging("pip", "sft_checkpoint", "x") as staged:
        (staged / "weights").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ValueError, match="weights is a link"):
            store.publish(staged, about)
    assert leftovers(store) == []


def test_a_failed_stage_leaves_nothing_but_its_scratch_folder(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    scratch = store.scratch_folder("pip", "sft_checkpoint", "k")
    scratch.mkdir(parents=True)
    with pytest.raises(RuntimeError), store.staging("pip", "sft_checkpoint", "k") as staged:
        (staged / "half").write_text("x")
        raise RuntimeError("out of memory")
    assert [path.name for path in scratch.parent.iterdir()] == [".scratch-k"]


def test_publishing_removes_the_scratch_folder(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    scratch = store.scratch_folder("pip", "sft_checkpoint", fingerprint(make_manifest()["recipe"]))
    scratch.mkdir(parents=True)
    make_output(store)
    assert not scratch.exists()


def test_a_disk_that_refuses_is_one_message_and_readers_keep_the_old_output(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    old = make_output(store, seed=1)
    about = make_manifest(seed=2)
    with store.staging("pip", "sft_checkpoint", "x") as staged:
        (staged / "summary.json").write_text("{}")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))  # the manifest does not fit
            with pytest.raises(StoreError, match=r"could not write .*File too large; .*UNICHAR_HOME"):
                store.publish(staged, about)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.current("pip", "sft_checkpoint").fingerprint == old.fingerprint
    assert leftovers(store) == []


def test_a_path_that_is_no_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("I was here first")
    with pytest.raises(StoreError, match="check the disk and the permissions"):
        make_output(make_store(tmp_path))


KILLER = """
    import os, signal, sys
    from pathlib import Path
    from factories_store import make_output, make_store

    calls, last = 0, int(sys.argv[2])

    def deadly(function):
        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    for name in ("fsync", "rename", "replace", "rmdir", "unlink"):
        setattr(os, name, deadly(getattr(os, name)))
    make_output(make_store(Path(sys.argv[1])), seed=2, files={"a.txt": "new", "b/c.txt": "new"})
    print(calls)
"""


def publish_and_die(home: Path, call: int) -> subprocess.CompletedProcess[str]:
    """Publish seed 2 in another process, which kills itself at its `call`-th change of the disk."""
    command = [sys.executable, "-c", textwrap.dedent(KILLER), str(home), str(call)]
    return subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False)


def test_a_kill_at_any_moment_leaves_the_old_output_or_the_new_one(tmp_path: Path) -> None:
    done = publish_and_die(tmp_path / "whole", 0)
    steps = int(done.stdout)
    assert steps > 8
    seen = []
    for call in range(1, steps + 1):
        store = make_store(tmp_path / str(call))
        make_output(store, seed=1, files={"a.txt": "old"})
        assert publish_and_die(store.home, call).returncode == -9
        current = store.current("pip", "sft_checkpoint")
        store.verify(current, again=True)
        seen.append((current.folder / "a.txt").read_text())
        again = make_output(store, seed=2, files={"a.txt": "new", "b/c.txt": "new"})
        assert store.current("pip", "sft_checkpoint").fingerprint == again.fingerprint
        store.verify(again, again=True)
    assert seen[0] == "old" and seen[-1] == "new" and seen == sorted(seen, reverse=True)


def _publish(home: Path, text: str) -> str:
    return (make_output(make_store(home), files={"a.txt": text, "b.txt": text}).folder / "a.txt").read_text()


def test_processes_that_publish_one_fingerprint_at_once_get_one_complete_output(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        read = list(pool.map(_publish, [tmp_path] * 8, [f"process {number}" for number in range(8)]))
    store = make_store(tmp_path)
    current = store.current("pip", "sft_checkpoint")
    store.verify(current, again=True)
    assert set(read) == {(current.folder / "b.txt").read_text()}
    assert leftovers(store) == []


def test_the_promoted_pointer_names_a_release_and_its_checkpoint(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    assert store.promoted("pip") is None
    release = make_output(store, "release", inputs={"grpo_checkpoint": "v"})
    store.promote(release)
    assert store.promoted("pip") == {"release": release.fingerprint, "grpo_checkpoint": "0" * 16}


def test_the_environment_says_where_everything_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UNICHAR_HOME", "UNICHAR_DATA", "UNICHAR_KITS", "UNICHAR_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    store = Store.from_env()
    assert (store.runs, store.data, store.remote) == (tmp_path / "runs", tmp_path / "data", None)
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UNICHAR_DATA", "kits")
    monkeypatch.setenv("UNICHAR_STORE", "s3://team-models/unichar/")
    store = Store.from_env()
    assert (store.runs, store.data) == (tmp_path / "home" / "runs", tmp_path / "kits")
    assert store.remote is not None and (store.remote.bucket, store.remote.prefix) == (
        "team-models",
        "unichar",
    )


def test_users_kits_lie_in_home_or_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNICHAR_KITS", raising=False)
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path / "home"))
    assert Store.from_env().kits == tmp_path / "home" / "kits"
    monkeypatch.setenv("UNICHAR_KITS", str(tmp_path / "mine"))
    assert Store.from_env().kits == tmp_path / "mine"


def test_a_users_kit_comes_first_then_the_starter_then_the_folder_to_make(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path / "data")
    own, starter = tmp_path / "kits" / "pip", tmp_path / "data" / "characters" / "pip"
    assert store.kit("pip") == own
    starter.mkdir(parents=True)
    assert store.kit("pip") == starter

    # A folder that is no kit does not hide the starter.
    own.mkdir(parents=True)
    assert store.kit("pip") == starter
    (own / "kit.yaml").write_text("id: pip\n")
    assert store.kit("pip") == own


def test_stages_are_found_by_verb_and_noun() -> None:
    assert stage_of("sft") is stage_of("sft_checkpoint")
    assert stage_of("sft").folder == "4_sft_checkpoint"
    for wrong in ("train", ""):
        with pytest.raises(
            ValueError, match="the stages are validate, curate, synthesize, sft, grpo, evaluate, release"
        ):
            stage_of(wrong)
