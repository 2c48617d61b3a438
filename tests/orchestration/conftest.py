"""An empty pipeline for each test: data, runs and a Dagster instance in a temporary folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from factories_orchestration import ROOT, Pipeline

from unichar.store.store import Store


@pytest.fixture(scope="session")
def dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Dagster home with the shipped settings and empty databases; made once, since it takes two seconds."""
    home = tmp_path_factory.mktemp("dagster")
    shutil.copy(ROOT / ".dagster" / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
        instance.add_dynamic_partitions("characters", [])
    return home


@pytest.fixture
def pipeline(tmp_path: Path, dagster_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """An empty pipeline; the environment points commands that the test starts to it."""
    shutil.copytree(dagster_home, tmp_path / ".dagster")
    (tmp_path / "data" / "characters").mkdir(parents=True)
    for name, value in {"UNICHAR_HOME": "", "UNICHAR_DATA": "data", "DAGSTER_HOME": ".dagster"}.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    for name in ("UNICHAR_STORE", "UNICHAR_PRESET"):
        monkeypatch.delenv(name, raising=False)
    with dg.DagsterInstance.get() as instance:
        yield Pipeline(data=tmp_path / "data", store=Store.from_env(), instance=instance)
