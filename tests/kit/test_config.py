import pytest

from unichar.kit.config import KitConfig


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ({"min_side": 4}, "min_side"),
        ({"held_out_fraction": 1.0}, "held_out_fraction"),
        ({"min_pictures": 4}, "min_train"),
        ({"max_pictures": 3}, "max_pictures"),
    ],
)
def test_nonsense_is_refused_by_name(setting: dict[str, float], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        KitConfig(**setting)
