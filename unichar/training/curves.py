"""Learning curves on disk: `curve.jsonl`, one JSON object per logged step."""

import json
import os
from pathlib import Path

from unichar.store.files import write_atomic


class Curve:
    """Appends to `curve.jsonl`.

    A resumed run first drops the lines from `resume_from` on, so that no step appears twice.
    """

    def __init__(self, path: Path, *, resume_from: int = 0) -> None:
        self.path = path

        # A run may have been killed after it logged a step and before it saved it; that step comes again.
        kept = [row for row in read_curve(path) if row["step"] < resume_from]
        write_atomic(path, "".join(json.dumps(row) + "\n" for row in kept).encode())

    def log(self, step: int, numbers: dict[str, float]) -> None:
        """Add one line and flush it to disk.

        Raises:
            OSError: The disk is full or refuses. A resumed run drops a line that is cut off.
        """
        try:
            # Opened anew for each line: lines are rare, and a kill then loses at most the last one.
            with self.path.open("a") as file:
                file.write(json.dumps({"step": step, **numbers}) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            message = (
                f"could not add step {step} to the curve: {error.strerror}; "
                "free some space and run the same command again"
            )
            raise OSError(error.errno, message, str(self.path)) from error


def read_curve(path: Path) -> list[dict[str, float]]:
    """The rows of a curve, in order; a last line that a kill cut off is left out."""
    # A run that has not logged yet.
    if not path.exists():
        return []

    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            # Cut off by a kill: the run logs this step again.
            break
    return rows
