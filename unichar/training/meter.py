"""Speed and memory of training: the numbers in a curve that depend on the machine."""

import resource
import time

import torch


class Meter:
    """Measures speed since its last reading, and peak memory."""

    def __init__(self) -> None:
        self._before: tuple[float, dict[str, int]] | None = None

    def read(self, **counts: int) -> dict[str, float]:
        """`peak_memory_mb`, and from the second call on `<name>_per_second` for each count.

        Args:
            counts: Running totals, which only grow.

        Example: `meter.read(pictures=96)["pictures_per_second"]`
        """
        now = time.monotonic()
        numbers = {"peak_memory_mb": round(peak_memory_mb(), 1)}

        # A rate needs two readings; a resumed run starts with none.
        if self._before is not None:
            then, before = self._before
            for name, count in counts.items():
                numbers[f"{name}_per_second"] = round((count - before[name]) / (now - then), 2)

        self._before = now, counts
        return numbers


def peak_memory_mb() -> float:
    """Peak memory of this process in MB: that of its GPU if it has used one, else resident memory."""
    # 0 where the model stays on the CPU of a machine with a GPU.
    on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    if on_gpu:
        return on_gpu / 1e6

    # Linux counts in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
