"""Fixtures that several tests share: a line with one customized character."""

import shutil
from pathlib import Path

import pytest
from factories_line import Toys, make_line

from unichar.pipeline import customize
from unichar.store import Store


@pytest.fixture(scope="session")
def made_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A customized character, made once because a check of a kit takes seconds."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Toys(monkeypatch)
        customize("pip", preset="smoke", store=make_line(folder, "pip"))
    return folder


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Toys:
    return Toys(monkeypatch)


@pytest.fixture
def store(made_line: Path, tmp_path: Path) -> Store:
    """The customized character, in a copy of its own."""
    shutil.copytree(made_line, tmp_path / "line")
    return Store(tmp_path / "line", tmp_path / "line" / "data")
