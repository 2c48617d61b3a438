"""Settings with some fields changed, nested ones too."""

import dataclasses
from typing import Any


def replaced(config: Any, **settings: Any) -> Any:
    """A copy of a frozen dataclass with other values; a dict replaces fields of a nested dataclass.

    Example: `replaced(GrpoConfig(), rounds=1, nft={"beta": 0.5})`
    """
    values = {}
    for name, value in settings.items():
        current = getattr(config, name)
        nested = isinstance(value, dict) and dataclasses.is_dataclass(current)
        values[name] = replaced(current, **value) if nested else value
    return dataclasses.replace(config, **values)
