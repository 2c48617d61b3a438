"""Settings of the gate."""

from typing import Any

import pytest

from unichar.release.config import ReleaseConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"identity_gain": 2},
        {"copying_most": -0.1},
        {"nll_loss": -1},
        {"nll_loss": float("nan")},
        {"required": ("fame",)},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ReleaseConfig"):
        ReleaseConfig(**wrong)
