"""`make` as a user runs it: in folders with any name, with data/ in any state. Real make, DVC and Dagster.

The checkout of a test is a small copy of this repository that shares its environments, so nothing is
installed; `-o` tells make that they are up to date.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from factories_kit import make_kit

ROOT = Path(__file__).parents[1]
FILES = (
    ".dagster/dagster.yaml",
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".env",
    ".gitignore",
    "Makefile",
)
FILES += ("data.dvc", "pyproject.toml", "tools/pull_data.py", "workspace.yaml")
INSTALLED = ("-o", ".venv/.installed", "-o", ".venv/.editable", "-o", ".tools/dvc/.installed")
ODD = "my \"unichar\" café $HOME $(x) #1 'a' & b;c (d) [e] *f ~g =h ,i !j <k> |l `m` ^n \\o"
"""Every sign that is not a letter and that make, Dagster and DVC can be made to work with."""


def make_checkout(folder: Path) -> Path:
    """A copy of what `make` needs. Each object of the DVC remote is a link of its own, which a test can
    remove.
    """
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("configs", "orchestration", "unichar"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "assets/dvc-remote", folder / "assets/dvc-remote", copy_function=os.symlink)
    (folder / ".tools").mkdir()
    (folder / ".tools/dvc").symlink_to(ROOT / ".tools/dvc")
    (folder / ".venv").symlink_to(Path(sys.prefix))

    # DVC works inside a Git repository only.
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in a checkout, without the variables of the run that tests it."""
    own = ("UNICHAR_", "DAGSTER_", "DVC_", "MAKE", "MFLAGS")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return subprocess.run(
        ["make", "--no-print-directory", *INSTALLED, *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in an odd folder after `make home data`."""
    parent = tmp_path_factory.mktemp("parent")
    checkout = make_checkout(parent / ODD)
    done = make(checkout, "home", "data", "check-paths", UNICHAR_HOME=str(parent / f"heim {ODD} ü"))
    assert done.returncode == 0, done.stderr
    return checkout


@pytest.fixture
def checkout(pulled: Path, tmp_path: Path) -> Path:
    """A copy of `pulled` that a test may spoil."""
    return shutil.copytree(pulled, tmp_path / "check out", symlinks=True)


def test_make_works_in_a_folder_of_any_name_and_leaves_nothing_beside_it(pulled: Path) -> None:
    home = pulled.parent / f"heim {ODD} ü"
    assert names(pulled.parent) == {pulled.name, home.name}
    assert names(home) == {".dagster"}
    assert (home / ".dagster/dagster.yaml").read_bytes() == (ROOT / ".dagster/dagster.yaml").read_bytes()
    assert {"mochi", "skerry", "tally", "wisp"} <= names(pulled / "data/characters")
    assert (pulled / "data/models/nano/base.safetensors").stat().st_size > 1_000_000
    assert names(pulled) == {
        *{name.partition("/")[0] for name in FILES},
        *(".git", ".tools", ".venv", "assets", "configs", "data", "orchestration", "unichar"),
    }


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_unichar_home_goes_through_make_unchanged(tmp_path: Path, how: str) -> None:
    checkout = make_checkout(tmp_path / "my unichar café")
    home = tmp_path / f"heim {ODD}"
    if how == "environment":
        done = make(checkout, "home", "check-paths", UNICHAR_HOME=str(home))
    else:
        done = make(checkout, "home", "check-paths", f"UNICHAR_HOME={home}")
    assert done.returncode == 0, done.stderr
    assert f"kits     {home}/kits\n" in done.stdout and f"dagster  {home}/.dagster\n" in done.stdout
    assert (home / ".dagster/dagster.yaml").is_file()
    assert names(tmp_path) == {checkout.name, home.name}
    assert not (checkout / ".dagster/history").exists()


def test_a_relative_home_lies_in_the_checkout(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "my unichar")
    assert make(checkout, "home", UNICHAR_HOME="my home").returncode == 0
    assert (checkout / "my home/.dagster/dagster.yaml").is_file()


def test_settings_that_are_in_the_dagster_home_already_are_kept(tmp_path: Path) -> None:
    checkout, home = make_checkout(tmp_path / "unichar"), tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("storage: {}  # the user's")
    for _ in range(2):
        assert make(checkout, "home", DAGSTER_HOME=str(home)).returncode == 0
    assert (home / "dagster.yaml").read_bytes() == (ROOT / ".dagster/dagster.yaml").read_bytes()
    assert (home / "dagster.yaml.~1~").read_text() == "storage: {}  # the user's"
    assert names(home) == {"dagster.yaml", "dagster.yaml.~1~"}


@pytest.mark.parametrize("sign", [":", "?", "%", "{", "}", "\t", "\n"])
def test_a_path_that_cannot_work_is_refused_before_anything_is_written(tmp_path: Path, sign: str) -> None:
    checkout = tmp_path / f"a{sign}b"
    checkout.mkdir()
    for name in ("Makefile", ".env"):
        shutil.copyfile(ROOT / name, checkout / name)
    refused = make(checkout, "home", "setup", "data")
    assert refused.returncode == 2
    assert "make cannot work in" in refused.stderr and "Nothing was written" in refused.stderr
    assert names(checkout) == {"Makefile", ".env"}

    good = shutil.copytree(checkout, tmp_path / "good")
    refused = make(good, "home", UNICHAR_HOME=str(tmp_path / f"home{sign}x"))
    assert refused.returncode == 2 and "make cannot work in" in refused.stderr
    assert names(tmp_path) == {checkout.name, good.name}


RECORDER = """#!/bin/bash
printf '%s|' "$DAGSTER_HOME" "$VIRTUAL_ENV" "$HF_HUB_OFFLINE" "$@" >> "$RECORD"
echo >> "$RECORD"
"""


@pytest.mark.parametrize(
    ("target", "started"),
    [
        ("demo", "-m|dagster|job|execute|-m|orchestration.definitions|-j|onboard_character|-c|"),
        ("ui", "-m|dagster|dev|-w|workspace.yaml|-h|127.0.0.1|-p|3000|"),
        ("test", "-m|pytest|--numprocesses|auto|--dist|loadfile|\n"),
        ("test-quick", "-m|pytest|--numprocesses|auto|--dist|loadfile|-m|not slow|\n"),
        ("check", "-m|dagster_dg_cli.cli|check|defs|"),
        ("docs", "-m|mkdocs|build|--strict|"),
        ("bench", "benchmarks/report.py|"),
    ],
)
def test_every_target_starts_the_environments_python_with_the_right_paths(
    tmp_path: Path, target: str, started: str
) -> None:
    """A stand-in for .venv/bin/python writes down how it is called."""
    checkout = make_checkout(tmp_path / ODD)
    (checkout / ".venv").unlink()
    python = checkout / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORDER)
    python.chmod(0o755)
    (checkout / "data").mkdir()
    home, record = tmp_path / "heim mit leer ü", tmp_path / "record"
    done = make(
        checkout, "-o", "data/.pulled", "-o", "data", target, UNICHAR_HOME=str(home), RECORD=str(record)
    )
    assert done.returncode == 0, done.stderr
    assert f"{home}/.dagster|{checkout}/.venv|1|{started}" in record.read_text()


@pytest.mark.e2e
def test_dagster_works_in_an_odd_folder_with_an_odd_home(pulled: Path, tmp_path: Path) -> None:
    """A real run of a user's kit, up to its interactions, started as `make` starts it."""
    home = tmp_path / f"heim {ODD} ü"
    kit = make_kit(home / "kits")
    (pulled / "extra.mk").write_text(
        "include Makefile\n"
        "prepare: home\n"
        "\t$(BIN)/python -m dagster job execute -m orchestration.definitions -j prepare_character "
        '--tags \'{"dagster/partition": "pip"}\'\n'
    )
    done = make(pulled, "-f", "extra.mk", "prepare", UNICHAR_HOME=str(home))
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(home.glob("runs/pip/3_interactions/*/train.jsonl"))
    assert names(home) == {".dagster", "kits", "runs"} and names(tmp_path) == {home.name}
    assert (kit / "kit.yaml").is_file()


def test_a_users_kit_in_data_blocks_nothing_and_stays(checkout: Path) -> None:
    kit = make_kit(checkout / "data/characters", "pip")
    before = {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    shutil.rmtree(checkout / "data/characters/mochi")
    (checkout / "data/.pulled").unlink()
    done = make(checkout, "data")
    assert done.returncode == 0, done.stderr
    assert (checkout / "data/characters/mochi/kit.yaml").is_file()
    assert {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()} == before


def test_data_that_was_removed_is_pulled_again(checkout: Path) -> None:
    shutil.rmtree(checkout / "data")
    assert make(checkout, "data").returncode == 0
    assert (checkout / "data/characters/wisp/kit.yaml").is_file()


def test_changed_files_are_named_kept_and_told_from_missing_objects(checkout: Path) -> None:
    changed = checkout / "data/characters/mochi/profile.md"
    added = checkout / "data/characters/wisp/notes.txt"
    changed.write_text("My own words.")
    added.write_text("A note.")
    (checkout / "data/.pulled").unlink()
    done = make(checkout, "data")
    assert done.returncode == 2
    assert "DVC says:\nERROR: " in done.stderr and "unsaved files" in done.stderr
    said = done.stderr.partition("\n\n")[2]
    assert "  data/characters/mochi/profile.md\n  data/characters/wisp/notes.txt\n" in said
    assert "Nothing was removed" in said and "kits/<id>/" in said and "make data-push" in said
    assert "git restore" not in said
    assert (changed.read_text(), added.read_text()) == ("My own words.", "A note.")
    assert not (checkout / "data/.pulled").exists()


@pytest.mark.parametrize("object", ["file", "list"])
def test_an_object_that_the_remote_lacks_is_named_and_the_user_not_blamed(
    checkout: Path, object: str
) -> None:
    shutil.rmtree(checkout / "data")
    shutil.rmtree(checkout / ".dvc/cache")
    shutil.rmtree(checkout / ".dvc/tmp")
    objects = sorted((checkout / "assets/dvc-remote").rglob("*"))
    digest = (checkout / "data.dvc").read_text().partition("md5: ")[2].partition("\n")[0]
    if object == "list":
        lost, named = (
            next(path for path in objects if digest.endswith(path.name)),
            "the list of versioned files",
        )
    else:
        text = (ROOT / "data/characters/mochi/kit.yaml").read_bytes()
        lost = next(path for path in objects if path.is_file() and path.read_bytes() == text)
        named = "data/characters/mochi/kit.yaml"
    lost.unlink()

    done = make(checkout, "data")
    assert done.returncode == 2
    assert "DVC says:\nERROR: " in done.stderr and lost.name in done.stderr
    said = done.stderr.partition("\n\n")[2]
    assert named in said and "git restore assets/dvc-remote" in said and "Your data/ is not the cause" in said
    assert "move it out of data/" not in said
