"""How fast training runs and how much memory it takes: numbers that depend on the machine, beside those that do not."""

import resource
import time

import torch


class Meter:
    """Speed since the last reading, and memory: what depends on the machine."""

    def __init__(self) -> None:
        self._before: tuple[float, int, int] | None = None

    def read(self, *, tokens: int, pictures: int) -> dict[str, float]:
        """Target tokens and pictures a second since the last call (absent on the first), and peak memory in MB."""
        now = time.monotonic()
        row = {"peak_memory_mb": round(peak_memory_mb(), 1)}
        if self._before is not None:
            began, tokens_before, pictures_before = self._before
            row["tokens_per_second"] = round((tokens - tokens_before) / (now - began), 2)
            row["pictures_per_second"] = round((pictures - pictures_before) / (now - began), 2)
        self._before = now, tokens, pictures
        return row


def peak_memory_mb() -> float:
    """Most memory this process has used: on its GPU where it has used one, else the machine's."""
    on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return on_gpu / 1e6 if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
