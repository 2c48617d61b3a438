"""A stage under a launcher: rank 0 runs the pipeline, the others only train with it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from factories_kit import make_kit
from factories_training import launch

from unichar.pipeline.launcher import launched_ranks
from unichar.pipeline.run import run_stage
from unichar.store.store import Store

LEAVING = """
import sys, time
from pathlib import Path
import unichar.training.ranks as ranks
from unichar.pipeline.launcher import launched_ranks

folder, starts = Path(sys.argv[1]), len(sys.argv) > 2
destroy_process_group = ranks.destroy_process_group

def destroy_slowly():
    if not ranks.is_main():
        time.sleep(1)
        print("other leaves", flush=True)
    destroy_process_group()

def run(out):
    time.sleep(1)
    print("other ran", flush=True)

ranks.destroy_process_group = destroy_slowly
with launched_ranks("sft", run) as start_other_ranks:
    if starts:
        start_other_ranks(folder)
print("main left", flush=True)
"""


@pytest.fixture(scope="module")
def line(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A character with interactions, and the small base."""
    home = tmp_path_factory.mktemp("home")
    make_kit(home / "data" / "characters", "pip")
    (home / "data" / "models").mkdir(parents=True)
    shutil.copytree(small_base.parent, home / "data" / "models" / "nano")
    store = Store(home, home / "data")
    for verb in ("validate", "curate", "synthesize"):
        run_stage(verb, "pip", preset="smoke", store=store)
    return store


def launch_line(store: Store, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`torchrun -m unichar ...` with two processes."""
    backbone = store.data / "models" / "nano" / "backbone"
    places = {
        "UNICHAR_HOME": str(store.home),
        "UNICHAR_DATA": str(store.data),
        "UNICHAR_BACKBONE": str(backbone),
    }
    return launch("-m", "unichar", *arguments, **places)


@pytest.mark.e2e
def test_two_processes_publish_one_output(line):
    command = ("sft", "--character", "pip", "--preset", "smoke")
    done = launch_line(line, *command)
    output = line.current("pip", "sft_checkpoint")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [f"made: {output.folder}"]
    line.verify(output, again=True)
    assert {"adapters", "curve.jsonl", "summary.json"} <= {path.name for path in output.folder.iterdir()}
    assert output.summary["target_tokens"] > 0
    left = [path.name for path in output.folder.parent.iterdir() if path.name.startswith(".")]
    assert not left
    again = launch_line(line, *command)
    assert (again.returncode, again.stdout) == (0, f"already there: {output.folder}\n")


@pytest.mark.e2e
def test_rank_0_reports_what_is_wrong(line):
    done = launch_line(line, "sft", "--character", "pip", "--preset", "bagel")
    assert done.returncode == 1
    assert (
        "error: pip cannot be trained with the model bagel" in done.stderr
        and "Traceback" not in done.stderr.partition("torch/distributed")[0]
    )


@pytest.mark.e2e
@pytest.mark.parametrize("starts", [True, False], ids=["after training", "without training"])
def test_rank_0_leaves_last(tmp_path, starts):
    script = tmp_path / "stage.py"
    script.write_text(LEAVING)
    done = launch(script, tmp_path, *["start"] * starts)
    assert done.returncode == 0, done.stderr[-3000:]
    trained = ["other ran"] if starts else []
    assert done.stdout.splitlines() == [*trained, "other leaves", "main left"]


def test_other_stages_refuse_a_launcher(line, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = r"validate runs in one process: start it without a launcher \(several can run sft, grpo\)"
    with pytest.raises(ValueError, match=words):
        run_stage("validate", "pip", preset="smoke", store=line)


def test_without_a_launcher_there_are_no_other_ranks(tmp_path, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with launched_ranks("sft", lambda out: pytest.fail("the stage ran twice")) as start_other_ranks:
        start_other_ranks(tmp_path)
