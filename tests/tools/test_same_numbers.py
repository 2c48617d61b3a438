"""What counts as a difference between two recordings."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("same_numbers", ROOT / "tools" / "same_numbers.py")
assert SPEC is not None and SPEC.loader is not None
same_numbers = importlib.util.module_from_spec(SPEC)


@pytest.fixture(autouse=True)
def tool(monkeypatch):
    """The tool sets the number of threads when it is loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    SPEC.loader.exec_module(same_numbers)


def test_equal_numbers_have_no_differences_and_old_names_count_as_the_new():
    before = {"curve": [{"loss": 1.5}], "arms": {"truth": 0.9}}
    assert same_numbers.compare("mochi", before, {"curve": [{"loss": 1.5}], "arms": {"oracle": 0.9}}) == []


def test_the_last_digit_counts_and_is_named_by_its_path():
    before, after = {"curve": [{"loss": 1.5}]}, {"curve": [{"loss": 1.5000000000000002}]}
    assert same_numbers.compare("mochi", before, after) == ["mochi/curve/0/loss: 1.5 -> 1.5000000000000002"]


def test_missing_numbers_and_rows_are_differences():
    assert same_numbers.compare("mochi", {"ce": 1.0}, {"mse": 1.0}) == [
        "mochi: ce only in one",
        "mochi: mse only in one",
    ]
    assert same_numbers.compare("mochi", [1.0], [1.0, 2.0]) == ["mochi: [1.0] -> [1.0, 2.0]"]


def test_seconds_speed_and_memory_are_left_out():
    row = {"loss": 1.0, "training_seconds": 2.0, "tokens_per_second": 3.0, "peak_memory_mb": 4.0}
    assert same_numbers._timeless(row) == {"loss": 1.0}
