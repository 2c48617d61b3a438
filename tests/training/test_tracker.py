"""Numbers also go to a tracker: TensorBoard by default, or none."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unichar.errors import UserError
from unichar.training.tracker import Tracker


def logged(folder: Path) -> list[tuple[int, float]]:
    """(step, loss) that TensorBoard shows of a folder."""
    events = EventAccumulator(str(folder)).Reload()
    return [(event.step, round(event.value, 3)) for event in events.Scalars("loss")]


def test_numbers_are_in_tensorboard_under_names_without_the_machine_s(tmp_path: Path) -> None:
    tracker = Tracker("tensorboard", tmp_path / "scratch", run="sft")
    for step in range(3):
        tracker.log(step, {"loss": 1.0 / (step + 1)})
    (tmp_path / "out").mkdir()
    tracker.keep(tmp_path / "out")

    kept = sorted(path.name for path in (tmp_path / "out" / "tensorboard").iterdir())
    assert kept and all(name == f"{number:03d}.tfevents" for number, name in enumerate(kept))
    assert logged(tmp_path / "scratch" / "tensorboard" / "sft") == [(0, 1.0), (1, 0.5), (2, 0.333)]


def test_a_resumed_run_replaces_the_steps_that_it_repeats(tmp_path: Path) -> None:
    first = Tracker("tensorboard", tmp_path, run="sft")
    for step in range(4):
        first.log(step, {"loss": 9.0})
    first.close()

    second = Tracker("tensorboard", tmp_path, run="sft")
    second.log(2, {"loss": 1.0})
    second.close()
    assert logged(tmp_path / "tensorboard" / "sft") == [(0, 9.0), (1, 9.0), (2, 1.0)]


def test_without_a_tracker_nothing_is_written(tmp_path: Path) -> None:
    tracker = Tracker("", tmp_path / "scratch", run="sft")
    tracker.log(0, {"loss": 1.0})
    tracker.keep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_does_not_exist_or_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no tracker 'tensorbord'; the trackers are .*tensorboard"):
        Tracker("tensorbord", tmp_path, run="sft")
    with pytest.raises(UserError, match="the tracker aim is not installed: install its package"):
        Tracker("aim", tmp_path, run="sft")
