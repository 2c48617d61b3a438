"""The loop under real kills: what comes out is what an uninterrupted run gives, to the last bit."""

import random
import signal
import subprocess

import pytest
import torch
from factories_training import TOTAL, make_net, make_state, saved_step, start_python, train_toy, wait_for_step

from unichar.training.curves import read_curve
from unichar.training.loop import STOPPED, run_loop
from unichar.training.state import load_tensors


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """(folder, net) of a run nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, train_toy(folder)


def start(folder) -> subprocess.Popen[str]:
    return start_python(f"from factories_training import main; main({str(folder)!r})")


def assert_same_run(folder, net, straight):
    other_folder, other = straight
    for (name, tensor), twin in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(tensor, twin), name
    assert (folder / "curve.jsonl").read_bytes() == (other_folder / "curve.jsonl").read_bytes()
    tensors, twins = (load_tensors(run / "state.safetensors")[0] for run in (folder, other_folder))
    assert tensors.keys() == twins.keys() and all(torch.equal(tensors[name], twins[name]) for name in tensors)


def test_an_uninterrupted_run_logs_means_and_the_rest(straight):
    folder, _ = straight
    rows = read_curve(folder / "curve.jsonl")
    assert [row["step"] for row in rows] == [6, 13, 20, 27, 34, 41, 48, 55, 59]
    assert rows[0].keys() == {"step", "loss", "first"}
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert saved_step(folder / "state.safetensors") == TOTAL


def test_a_killed_run_goes_on_as_if_nothing_had_happened(straight, tmp_path):
    process = start(tmp_path)
    wait_for_step(process, tmp_path / "state.safetensors", random.randrange(1, TOTAL - 10))
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 0 < saved_step(tmp_path / "state.safetensors") < TOTAL
    assert_same_run(tmp_path, train_toy(tmp_path), straight)


def test_sigterm_saves_and_exits_with_143(straight, tmp_path):
    process = start(tmp_path)
    wait_for_step(process, tmp_path / "state.safetensors", 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == STOPPED == 143
    assert 10 <= saved_step(tmp_path / "state.safetensors") < TOTAL
    assert_same_run(tmp_path, train_toy(tmp_path), straight)


def test_saves_keep_to_their_pace_but_a_stop_saves_at_once(tmp_path):
    _, state = make_state(tmp_path, make_net())

    def step(index: int) -> dict[str, float]:
        assert not state.path.exists()
        if index == 4:
            signal.raise_signal(signal.SIGTERM)
        return {"loss": 1.0}

    with pytest.raises(SystemExit) as stopped:
        run_loop("toy", step, total=9, state=state, save_seconds=3600)
    assert stopped.value.code == STOPPED
    assert saved_step(state.path) == 5


def test_a_finished_run_is_not_run_again(straight, tmp_path):
    _, state = make_state(tmp_path, make_net())
    state.save(TOTAL)
    run_loop("toy", lambda index: pytest.fail("a step was run"), total=TOTAL, state=state)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_sigterm_means_what_it_meant_before_once_the_loop_is_over(tmp_path, ends):
    before = signal.getsignal(signal.SIGTERM)
    _, state = make_state(tmp_path, make_net())

    def step(index: int) -> dict[str, float]:
        assert signal.getsignal(signal.SIGTERM) != before
        if ends == "badly":
            raise RuntimeError("out of memory")
        return {"loss": 0.0}

    if ends == "badly":
        with pytest.raises(RuntimeError):
            run_loop("toy", step, total=2, state=state)
    else:
        run_loop("toy", step, total=2, state=state)
    assert signal.getsignal(signal.SIGTERM) == before


def test_progress_goes_to_stderr_as_plain_lines(straight, tmp_path, capsys):
    train_toy(tmp_path)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].startswith(f"toy {TOTAL}/{TOTAL}, 0 s left: loss ")
    assert "\r" not in printed.err


def test_a_learner_that_has_had_enough_ends_early_and_stays_ended(tmp_path):
    taken = []

    def train() -> None:
        net = make_net()
        _, state = make_state(tmp_path, net)

        def step(index: int) -> dict[str, float]:
            taken.append(index)
            net[2].bias.data.fill_(index)
            return {"loss": float(index)}

        run_loop("toy", step, total=10, state=state, log_every=4, finished=lambda: net[2].bias.item() == 5)

    train()
    assert taken == [0, 1, 2, 3, 4, 5] and saved_step(tmp_path / "state.safetensors") == 6
    assert [row["step"] for row in read_curve(tmp_path / "curve.jsonl")] == [3, 5]
    train()
    assert len(taken) == 6


def test_a_number_that_only_some_steps_have_is_averaged_over_those(tmp_path):
    _, state = make_state(tmp_path, make_net())
    steps = [
        {"loss": 1.0},
        {"loss": 2.0, "late": 4.0},
        {"loss": 6.0},
        {"loss": 3.0, "late": 8.0},
        {"late": 1.0},
    ]
    run_loop("toy", lambda index: steps[index], total=5, state=state, log_every=4)
    assert read_curve(tmp_path / "curve.jsonl") == [
        {"step": 3, "loss": 3.0, "late": 6.0},
        {"step": 4, "late": 1.0},
    ]


def test_a_report_may_add_what_depends_on_the_clock(tmp_path, capsys):
    _, state = make_state(tmp_path, make_net())

    def report(index: int, means: dict[str, float]) -> dict[str, float]:
        return {**means, "speed": 10.0 * index}

    run_loop(
        "toy",
        lambda index: {"loss": 1.0, "loss_of_part": 2.0},
        total=2,
        state=state,
        log_every=2,
        report=report,
    )
    assert read_curve(tmp_path / "curve.jsonl") == [
        {"step": 1, "loss": 1.0, "loss_of_part": 2.0, "speed": 10.0}
    ]
    assert capsys.readouterr().err.splitlines()[-1] == "toy 2/2, 0 s left: loss 1"
