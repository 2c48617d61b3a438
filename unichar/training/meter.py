"""How fast training runs and how much memory it takes: numbers that depend on the machine, beside those that
do not.
"""

import resource
import time

import torch


class Meter:
    """Speed since the last reading, and memory: what depends on the machine."""

    def __init__(self) -> None:
        self._before: tuple[float, dict[str, int]] | None = None

    def read(self, **counts: int) -> dict[str, float]:
        """Peak memory in MB, and by how much each count has grown a second since the last call (absent on the
        first).

        Example: `meter.read(pictures=96)["pictures_per_second"]`
        """
        now = time.monotonic()
        row = {"peak_memory_mb": round(peak_memory_mb(), 1)}
        if self._before is not None:
            began, before = self._before
            row |= {
                f"{name}_per_second": round((count - before[name]) / (now - began), 2)
                for name, count in counts.items()
            }
        self._before = now, counts
        return row


def peak_memory_mb() -> float:
    """Most memory this process has used: on its GPU where it has used one, else the machine's."""
    on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return on_gpu / 1e6 if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
