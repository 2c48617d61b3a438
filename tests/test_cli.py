"""The command line as a user meets it: what is printed where, exit codes, no traceback for a mistake."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from factories_kit import make_kit, pip_scenes
from factories_pipeline import Toys, edit_kit, make_store

from unichar.cli import STAGES, app, main
from unichar.errors import UserError
from unichar.presets import PRESETS
from unichar.stages import VERBS
from unichar.store.store import Store


@pytest.fixture
def home(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The environment points at the customized line."""
    monkeypatch.setenv("UNICHAR_HOME", str(store.home))
    monkeypatch.setenv("UNICHAR_DATA", str(store.data))
    monkeypatch.delenv("UNICHAR_STORE", raising=False)
    return store


def run(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = main([*arguments])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def test_a_stage_says_where_its_output_is(home: Store, toys: Toys, capsys: pytest.CaptureFixture) -> None:
    folder = home.current("pip", "sft_checkpoint").folder
    command = ("sft", "--character", "pip", "--preset", "smoke")
    assert run(capsys, *command) == (0, f"already there: {folder}\n", "")
    assert run(capsys, *command, "--force") == (0, f"made: {folder}\n", "")
    assert toys.ran == ["sft"]


def test_the_line_prints_a_line_a_stage(home: Store, toys: Toys, capsys: pytest.CaptureFixture) -> None:
    code, out, err = run(capsys, "customize", "--character", "pip", "--preset", "smoke", "--seed", "1")
    assert code == 0
    assert err == "release of pip: passed its gate, but models of the preset smoke are never promoted\n"
    assert [line.split()[0] for line in out.splitlines()] == list(VERBS)
    code, out, _ = run(capsys, "customize", "--character", "pip", "--preset", "smoke", "--dry-run")
    assert code == 0 and out.count("already there") == 7


def test_a_kit_is_brought_in_and_made(
    home: Store, toys: Toys, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    kit = make_kit(tmp_path, "tock", name="Tock").rename(tmp_path / "from a friend")
    code, out, err = run(capsys, "onboard", str(kit), "--preset", "cpu")
    assert (code, len(out.splitlines())) == (0, 7)
    assert err == f"tock: copied to {home.kits / 'tock'}, which is what the pipeline reads\n"
    assert home.promoted("tock")
    assert (
        f"tock  (promoted: {home.current('tock', 'grpo_checkpoint').fingerprint})" in run(capsys, "status")[1]
    )


def test_a_rejected_kit_is_one_message_with_every_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toys: Toys, capsys: pytest.CaptureFixture
) -> None:
    make_store(tmp_path, "pip", rights=None, profile="")
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path))
    monkeypatch.setenv("UNICHAR_DATA", str(tmp_path / "data"))
    code, out, err = run(capsys, "customize", "--character", "pip", "--preset", "smoke")
    assert (code, out) == (1, "")
    assert (
        err.startswith(
            f"error: the kit was rejected; edit its files in {tmp_path / 'data/characters/pip'}, then"
        )
        and "rights_stated" in err
        and "profile.md" in err
    )
    assert toys.ran == []


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("sft --character tock", 1, "no kit for 'tock'"),
        ("curate --character Pip", 2, "cannot be a character's id"),
        ("onboard nowhere", 2, "there is no folder nowhere"),
        (
            "talk --character tock hello",
            1,
            "tock was never trained: run `python -m unichar customize --character tock` first",
        ),
        (
            "import-rolescape nowhere --id bo --category animal --rights-basis licensed --rights-holder us",
            2,
            "nowhere",
        ),
    ],
)
def test_mistakes_are_one_message(
    home: Store, capsys: pytest.CaptureFixture, command: str, code: int, says: str
) -> None:
    found, out, err = run(capsys, *command.split())
    assert (found, out) == (code, "")
    assert err.startswith("error: ") and says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    ["", "train", "sft", "sft --character pip --preset huge", "talk --character pip hi --draw --image x"],
)
def test_wrong_usage_is_exit_code_2_with_the_usage(command: str, capsys: pytest.CaptureFixture) -> None:
    code, out, err = run(capsys, *command.split())
    assert (code, out) == (2, "")
    assert err.startswith("Usage: unichar")


def test_a_wrong_preset_is_answered_with_the_presets(capsys: pytest.CaptureFixture) -> None:
    _, _, err = run(capsys, "sft", "--character", "pip", "--preset", "huge")
    assert f"'huge' is not one of {', '.join(PRESETS)}" in err


def test_help_lists_every_command_once_by_group(capsys: pytest.CaptureFixture) -> None:
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    sections = out.split("\n\n")
    assert [text.partition(":")[0].strip() for text in sections[3:7]] == [
        "Stages, in their order",
        "Characters",
        "Models",
        "Upkeep",
    ]
    [stages] = [text for text in sections if text.startswith(STAGES)]
    assert [line.split()[0] for line in stages.splitlines()[1:]] == list(VERBS)
    commands = (
        "validate customize onboard import-rolescape draw-toons talk show base merge plan status doctor"
    )
    for name in commands.split():
        assert len(re.findall(rf"^  {name} ", out, flags=re.MULTILINE)) == 1, name


@pytest.mark.parametrize("name", [command.name for command in app.registered_commands])
def test_help_of_every_command_has_an_example_that_parses(name: str, capsys: pytest.CaptureFixture) -> None:
    code, out, _ = run(capsys, name, "--help")
    assert code == 0 and "\x1b" not in out
    [_, examples] = out.split("Examples:\n")
    for line in examples.splitlines():
        command, *arguments = shlex.split(line)
        assert command == "unichar" and arguments[0] == name
        # Help is asked for in the end, so that the words are parsed but nothing runs.
        assert run(capsys, *arguments, "--help")[0] == 0


def test_help_loads_nothing_heavy() -> None:
    script = "import sys; from unichar.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"torch", "transformers", "great_expectations", "dagster", "boto3", "rich"}


def test_a_changed_kit_stops_training(home: Store, toys: Toys, capsys: pytest.CaptureFixture) -> None:
    edit_kit(home, "pip", "profile.md", "Herons", "Storks and herons")
    code, _, err = run(capsys, "sft", "--character", "pip", "--preset", "smoke")
    assert code == 1 and "its files changed since validation" in err


def test_the_doctor_fails_when_something_is_broken(home: Store, capsys: pytest.CaptureFixture) -> None:
    assert run(capsys, "doctor") == (0, "0 leftovers removed, 0 outputs broken\n", "")
    (home.current("pip", "sft_checkpoint").folder / "adapters" / "weights.txt").write_text("x")
    code, out, err = run(capsys, "doctor")
    assert (code, out) == (1, "0 leftovers removed, 1 outputs broken\n") and "weights.txt was changed" in err


def test_ctrl_c_is_no_traceback(
    home: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupted(job: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["unichar.sft.train"], "run", interrupted)
    code, _, err = run(capsys, "sft", "--character", "pip", "--preset", "smoke", "--seed", "3")
    assert code == 130 and "a training goes on from its last state" in err


def test_a_defect_keeps_its_traceback(home: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules["unichar.sft.train"], "run", lambda job: int("a tensor of the wrong shape")
    )
    with pytest.raises(ValueError, match="invalid literal"):
        main(["sft", "--character", "pip", "--preset", "smoke", "--seed", "3"])


def test_what_a_user_can_mend_has_no_traceback_wherever_it_is_raised(
    home: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def refused(job: object) -> None:
        raise UserError("SftConfig.steps is 0; expected 1 or more")

    monkeypatch.setattr(sys.modules["unichar.sft.train"], "run", refused)
    code, _, err = run(capsys, "sft", "--character", "pip", "--preset", "smoke", "--seed", "3")
    assert (code, err) == (2, "error: SftConfig.steps is 0; expected 1 or more\n")


def test_a_disk_that_refuses_has_no_traceback(
    home: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full(job: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys.modules["unichar.sft.train"], "run", full)
    code, _, err = run(capsys, "sft", "--character", "pip", "--preset", "smoke", "--seed", "3")
    assert code == 1 and "No space left on device" in err


def test_a_training_that_was_ended_from_outside_ends_the_command_with_its_code(
    home: Store, toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(job: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(sys.modules["unichar.sft.train"], "run", stopped)
    assert main(["sft", "--character", "pip", "--preset", "smoke", "--seed", "3"]) == 143


def test_toons_are_drawn_by_command(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = make_kit(tmp_path, scenes=pip_scenes()[:2])
    assert run(capsys, "draw-toons", str(folder)) == (0, f"{folder}: 2 pictures\n", "")
    code, _, err = run(capsys, "draw-toons", str(tmp_path / "nobody"))
    assert code == 2 and "scenes.jsonl does not exist" in err


def test_a_report_is_shown_by_command(home: Store, capsys: pytest.CaptureFixture) -> None:
    code, _, err = run(capsys, "show", "--character", "nobody")
    assert code == 1
    assert err == (
        "error: nobody has no eval_report yet: run `python -m unichar evaluate --character nobody` first\n"
    )


LOADING = """
import sys, time
from types import SimpleNamespace

def load_for_ever(job):
    print("loading the model", flush=True)
    time.sleep(60)

sys.modules["unichar.sft.train"] = SimpleNamespace(run=load_for_ever)
from unichar.cli import main
sys.exit(main(["sft", "--character", "pip", "--preset", "smoke", "--seed", "5"]))
"""


def test_sigterm_before_the_first_step_ends_the_command_at_once(home: Store) -> None:
    process = subprocess.Popen([sys.executable, "-c", LOADING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "loading the model\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == -signal.SIGTERM


@pytest.mark.e2e
def test_the_real_command_makes_the_stages_before_training(tmp_path: Path) -> None:
    make_store(tmp_path, "pip")
    environment = {**os.environ, "UNICHAR_HOME": str(tmp_path), "UNICHAR_DATA": str(tmp_path / "data")}
    for verb in VERBS[:3]:
        command = [sys.executable, "-m", "unichar", verb, "--character", "pip", "--preset", "smoke"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("made: ")
    missing = subprocess.run(
        [*command[:3], "grpo", *command[4:]], env=environment, capture_output=True, text=True, check=False
    )
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert missing.stderr.startswith(
        "error: pip has no sft_checkpoint yet: run `python -m unichar sft --character pip`"
    )
