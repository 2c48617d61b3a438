"""Three characters that differ in what the composers must handle."""

from typing import Any

import pytest
from factories_interactions import count_vidor, make_curated_kit, nia_the_photographer

from unichar.types import CuratedKit

KITS: dict[str, Any] = {"bramble": dict, "vidor": count_vidor, "nia": nia_the_photographer}
"""A toon, a toon that speaks of itself by name, and a photographed person with a thin kit."""


@pytest.fixture(params=KITS)
def kit(request: pytest.FixtureRequest, tmp_path) -> CuratedKit:
    return make_curated_kit(tmp_path / "kit", **KITS[request.param]())
