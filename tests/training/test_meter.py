"""Speed is measured between two readings."""

import pytest

from unichar.training import meter
from unichar.training.meter import Meter, peak_memory_mb


def test_the_first_reading_has_no_speed_and_later_ones_count_from_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(meter.time, "monotonic", lambda: now)
    measured = Meter()
    assert set(measured.read(pictures=8, tokens=100)) == {"peak_memory_mb"}

    now = 104.0
    numbers = measured.read(pictures=18, tokens=100)
    assert (numbers["pictures_per_second"], numbers["tokens_per_second"]) == (2.5, 0.0)

    now = 105.0
    assert measured.read(pictures=21, tokens=101)["pictures_per_second"] == 3.0


def test_memory_is_that_of_this_process_in_megabytes() -> None:
    assert 50 < peak_memory_mb() < 100_000
