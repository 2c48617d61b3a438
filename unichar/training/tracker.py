"""Curves in a viewer: the numbers of `curve.jsonl` also go to one of accelerate's trackers, TensorBoard by default.

    tensorboard --logdir runs/mochi

Nothing leaves the machine unless a tracker that sends is named in the settings. Not in the paper's code, which always sends.
"""

import shutil
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers


class Tracker:
    """Opened at the first line; writes from process 0 only.

    Example: `Tracker("tensorboard", job.scratch, run="sft").log(4, {"loss": 0.3})`
    """

    def __init__(self, name: str, folder: Path, *, run: str) -> None:
        self.name, self.folder, self.run = name, folder, run
        self._opened: Any = None
        if name not in LOGGER_TYPE_TO_CLASS and name:
            raise ValueError(
                f"there is no tracker {name!r}; the trackers are {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}"
            )
        if name and name not in map(str, get_available_trackers()):
            raise ValueError(
                f"the tracker {name} is not installed: install its package, or set `tracker` to another or to nothing"
            )

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add one step's numbers; lines after the step a resumed run goes on from are replaced (TensorBoard)."""
        if not self.name:
            return
        if self._opened is None:
            self._opened = self._open(step)
        self._opened.log(numbers, step=step)

    def close(self) -> None:
        """Write what is waiting."""
        if self._opened is not None:
            self._opened.finish()

    def keep(self, out: Path) -> None:
        """Close and put what TensorBoard reads into `out`, under names without the machine's."""
        self.close()
        for number, path in enumerate(sorted((self.folder / self.name).rglob("*tfevents*"))):
            (out / self.name).mkdir(exist_ok=True)
            shutil.copyfile(path, out / self.name / f"{number:03d}.tfevents")

    def _open(self, step: int) -> Any:
        PartialState()
        own = (
            {"logging_dir": self.folder / self.name, "purge_step": step} if self.name == "tensorboard" else {}
        )
        tracker = LOGGER_TYPE_TO_CLASS[self.name](
            self.run, **own
        )  # others know their server from their own settings
        tracker.start()
        return tracker
