"""The loop under real kills: the result equals that of an uninterrupted run to the last bit."""

import logging
import random
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from factories_training import TOTAL, make_net, make_state, saved_step, start_python, train_toy, wait_for_step

from unichar.training import loop
from unichar.training.curves import read_curve
from unichar.training.loop import STOPPED, _duration, run_loop
from unichar.training.state import load_tensors


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """(folder, net) of a run without interruption."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, train_toy(folder)


def wait_for_line(process, words: str) -> None:
    """Read what the process prints up to this line."""
    for line in process.stdout:
        if line.strip() == words:
            return
    raise AssertionError(f"the process ended without {words!r}")


def start(folder) -> subprocess.Popen[str]:
    return start_python(f"from factories_training import main; main({str(folder)!r})")


def assert_same_run(folder, net, straight):
    other_folder, other = straight
    for (name, tensor), twin in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(tensor, twin), name
    assert (folder / "curve.jsonl").read_bytes() == (other_folder / "curve.jsonl").read_bytes()
    tensors, twins = (load_tensors(run / "state.safetensors")[0] for run in (folder, other_folder))
    assert tensors.keys() == twins.keys() and all(torch.equal(tensors[name], twins[name]) for name in tensors)


def test_an_uninterrupted_run_logs_means_and_the_last_steps(straight):
    folder, _ = straight
    rows = read_curve(folder / "curve.jsonl")
    assert [row["step"] for row in rows] == [6, 13, 20, 27, 34, 41, 48, 55, 59]
    assert rows[0].keys() == {"step", "loss", "first"}
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert saved_step(folder / "state.safetensors") == TOTAL


def test_a_killed_run_resumes_to_the_same_bits(straight, tmp_path):
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


@pytest.mark.parametrize(("save_takes", "expected"), [(0.5, [3, 6, 9, 12, 15, 18]), (9.0, [3, 16, 18])])
def test_a_slow_save_comes_less_often(tmp_path, monkeypatch, save_takes, expected):
    """Steps take 15 s: a save of 0.5 s is due after 30 s, one of 9 s after 180 s, which is 5 % of them."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(loop, "time", clock)
    _, state = make_state(tmp_path, make_net())
    saved = []

    def save(step: int) -> None:
        saved.append(step)
        clock.now += save_takes

    def step(index: int) -> dict[str, float]:
        clock.now += 15
        return {"loss": 1.0}

    # The last save is that of the end, which comes in any case.
    monkeypatch.setattr(state, "save", save)
    run_loop("toy", step, total=18, state=state, save_seconds=30)
    assert saved == expected
    assert save_takes <= loop.SAVE_FRACTION * 15 * (saved[1] - saved[0])


def test_a_stop_says_that_it_saved_and_leaves(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="unichar")
    _, state = make_state(tmp_path, make_net())

    def step(index: int) -> dict[str, float]:
        signal.raise_signal(signal.SIGTERM)
        return {"loss": 1.0}

    with pytest.raises(SystemExit):
        run_loop("toy", step, total=9, state=state)
    assert caplog.messages[-1] == "toy: saved step 1 of 9, leaving"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_step_that_takes_too_long_is_left_with_the_state_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_PATIENCE_SECONDS", 0.2)
    net = make_net()
    _, state = make_state(tmp_path, net)

    def step(index: int) -> dict[str, float]:
        net[2].bias.data.fill_(index + 1)
        if index == 2:
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)
        return {"loss": 1.0}

    with pytest.raises(SystemExit) as stopped:
        run_loop("toy", step, total=9, state=state, save_seconds=0)
    assert stopped.value.code == STOPPED
    assert saved_step(state.path) == 2
    assert load_tensors(state.path)[0]["net.2.bias"].item() == 2


def test_a_stop_during_the_last_save_is_not_forgotten(tmp_path, monkeypatch):
    _, state = make_state(tmp_path, make_net())
    save = state.save

    def save_and_stop(step: int) -> None:
        save(step)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(state, "save", save_and_stop)
    with pytest.raises(SystemExit) as stopped:
        run_loop("toy", lambda index: {"loss": 1.0}, total=1, state=state)
    assert stopped.value.code == STOPPED
    assert saved_step(state.path) == 1


def test_a_second_sigterm_ends_the_process_at_once(tmp_path):
    process = start_python(
        "from pathlib import Path; from factories_training import train_toy; "
        f"train_toy(Path({str(tmp_path)!r}), pause=60)"
    )
    wait_for_line(process, "first step")
    process.send_signal(signal.SIGTERM)
    wait_for_line(process, "asked to stop: finishing this step, then saving")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    assert not (tmp_path / "state.safetensors").exists()


def test_a_finished_run_is_not_run_again(straight, tmp_path):
    _, state = make_state(tmp_path, make_net())
    state.save(TOTAL)
    run_loop("toy", lambda index: pytest.fail("a step was run"), total=TOTAL, state=state)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_handler_of_sigterm_is_restored_after_the_loop(tmp_path, ends):
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


def test_progress_is_logged_as_plain_lines(straight, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="unichar")
    train_toy(tmp_path)
    assert caplog.messages[0] == f"toy: starts, {TOTAL} steps"
    assert re.fullmatch(rf"toy: 1/{TOTAL}, \d+ (s|min|h) left: loss \S+ first \S+", caplog.messages[1])
    assert caplog.messages[-1].startswith(f"toy: {TOTAL}/{TOTAL}, 0 s left: loss ")


def test_a_resumed_run_says_where_it_goes_on(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="unichar")
    _, state = make_state(tmp_path, make_net())
    state.save(7)
    train_toy(tmp_path)
    assert caplog.messages[0] == f"toy: goes on from step 7 of {TOTAL}"


def test_a_terminal_gets_a_bar_with_the_time_that_is_left(tmp_path, capsys, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="unichar")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, state = make_state(tmp_path, make_net())
    run_loop("toy", lambda index: {"loss": 1.0}, total=3, state=state)
    assert "toy: 100%" in capsys.readouterr().err
    assert caplog.messages == ["toy: starts, 3 steps"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (3000, "50 min"), (7200, "2.0 h")]
)
def test_durations_are_readable(seconds, words):
    assert _duration(seconds) == words


def test_an_early_stop_is_final(tmp_path):
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


def test_a_report_may_add_what_depends_on_the_clock(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="unichar")
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
    assert caplog.messages[-1] == "toy: 2/2, 0 s left: loss 1"
