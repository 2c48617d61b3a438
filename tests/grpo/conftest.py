"""What tests of both algorithms start from."""

import pytest
from factories_model import BASE, disturb

from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters
from unichar.model.protocol import UnifiedModel


@pytest.fixture(scope="module")
def tuned() -> UnifiedModel:
    """The base with small picture adapters that look trained."""
    model = load_model(BASE)
    add_adapters(model, und=LoraSettings(rank=2, alpha=4), gen=LoraSettings(rank=2, alpha=4), seed=0)
    disturb(model.gen)
    model.und.requires_grad_(False)
    return model
