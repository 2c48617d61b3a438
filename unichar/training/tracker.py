"""Curves in a viewer: the numbers of `curve.jsonl` also go to one of accelerate's trackers, TensorBoard by
default.

    tensorboard --logdir runs/mochi

Nothing leaves the machine unless a tracker that sends is named in the settings. Not in the paper's code,
which always sends.
"""

import shutil
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from unichar.errors import UserError


class Tracker:
    """Sends numbers to one tracker, which is opened at the first line; only rank 0 writes.

    Example: `Tracker("tensorboard", job.scratch, run="sft").log(4, {"loss": 0.3})`

    Raises:
        UserError: There is no such tracker, or its package is not installed.
    """

    def __init__(self, name: str, folder: Path, *, run: str) -> None:
        # A wrong name fails here, before the training; the tracker itself is opened at the first line.
        self.name, self.folder, self.run = name, folder, run
        self._opened: Any = None

        # An empty name is no tracker at all.
        if name not in LOGGER_TYPE_TO_CLASS and name:
            trackers = ", ".join(sorted(LOGGER_TYPE_TO_CLASS))
            raise UserError(f"there is no tracker {name!r}; the trackers are {trackers}")

        if name and name not in map(str, get_available_trackers()):
            raise UserError(
                f"the tracker {name} is not installed: install its package, "
                "or set `tracker` to another or to nothing"
            )

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add one step's numbers; TensorBoard replaces those that a resumed run logs again."""
        if not self.name:
            return

        # Opened late: only then is the step known from which a resumed run logs.
        if self._opened is None:
            self._opened = self._open(step)
        self._opened.log(numbers, step=step)

    def close(self) -> None:
        """Write what is buffered."""
        if self._opened is not None:
            self._opened.finish()

    def keep(self, out: Path) -> None:
        """Close, and copy TensorBoard's event files into `out`, under names without this machine's."""
        self.close()

        # A resumed run has an event file per start; TensorBoard merges them in the order of their names.
        for number, path in enumerate(sorted((self.folder / self.name).rglob("*tfevents*"))):
            (out / self.name).mkdir(exist_ok=True)
            shutil.copyfile(path, out / self.name / f"{number:03d}.tfevents")

    def _open(self, step: int) -> Any:
        # accelerate's trackers ask it which process is the main one.
        PartialState()

        # The other trackers know their server from their own settings.
        settings: dict[str, Any] = {}
        if self.name == "tensorboard":
            settings = {"logging_dir": self.folder / self.name, "purge_step": step}

        # accelerate registers its trackers by name; `start` opens the connection or the file.
        tracker = LOGGER_TYPE_TO_CLASS[self.name](self.run, **settings)
        tracker.start()
        return tracker
