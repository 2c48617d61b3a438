"""Fixtures that several tests share: a store with one customized character, the base, one tiny character.

What needs torch is imported inside its fixture: most tests need none, and it takes seconds. Tests are marked
by what they cost: `e2e` by hand, for real commands in processes of their own; `slow` below, for all of these
and for whatever loads or trains a model. `make test-quick` leaves the slow ones out.
"""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from factories_pipeline import Toys, make_store

from unichar.pipeline.run import customize
from unichar.store.store import Store
from unichar.types import StageJob

# One thread for each worker and for every process that a test starts: threads of several processes on the
# same cores wait for each other at every barrier, and then train several times slower than one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from unichar.model.nano.model import NanoModel


SLOW_FIXTURES = {"model", "inputs", "sft_job", "grpo_job", "small_base", "larger_base", "made_store", "store"}
"""Fixtures that load a model, train one, or run a kit's checks: seconds each."""

SLOW_PATHS = (
    "orchestration/",
    "pretrain/",
    "model/bagel/",
    "model/nano/",
    "model/test_lora.py",
    "cost/test_flops.py",
    "cost/test_estimate.py",
    "cost/test_memory.py",
    "cost/test_cards.py",
    "grpo/test_train.py",
    "grpo/test_nft.py",
    "grpo/test_flow_grpo.py",
    "grpo/test_rollout.py",
    "sft/test_train.py",
    "training/test_loop.py",
    "judges/test_alignment.py",
    "judges/test_scorers.py",
    "judges/test_thresholds.py",
    "evaluation/test_pictures.py",
    "kit/test_curate.py",
    "kit/test_rolescape.py",
    "pipeline/test_checksums.py",
    "pipeline/test_onboarding.py",
    "serving/",
    "test_make.py",
)
"""Below `tests/`: what starts Dagster or other processes, trains, or looks at pictures with networks."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what is slow by its fixtures, its path or its other marks."""
    tests = Path(__file__).parent
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        is_slow_path = item.path.relative_to(tests).as_posix().startswith(SLOW_PATHS)
        if item.get_closest_marker("e2e") or fixtures & SLOW_FIXTURES or is_slow_path:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A customized character, made once because a check of a kit takes seconds."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as monkeypatch:
        Toys(monkeypatch)
        customize("pip", preset="smoke", store=make_store(folder, "pip"))
    return folder


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Toys:
    return Toys(monkeypatch)


@pytest.fixture
def store(made_store: Path, tmp_path: Path) -> Store:
    """The customized character, in a copy of its own."""
    shutil.copytree(made_store, tmp_path / "line")
    return Store(tmp_path / "line", tmp_path / "line" / "data")


@pytest.fixture(scope="session")
def model() -> "NanoModel":
    """The nano base without adapters, for all to read. A test that puts adapters on a model loads its own."""
    from factories_model import BASE

    from unichar.model.nano.loading import load_nano

    return load_nano(BASE)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bramble's curated kit and interactions: noun -> folder."""
    from factories_model import make_inputs

    return make_inputs(tmp_path_factory.mktemp("bramble"))


@pytest.fixture(scope="session")
def sft_job(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    """A finished SFT of three steps; `out` holds what it wrote, and its summary as the pipeline writes it."""
    from factories_model import make_job

    from unichar.sft.train import run

    job = make_job("sft", tmp_path_factory.mktemp("sft"), inputs)
    (job.out / "summary.json").write_text(json.dumps({**run(job), "seconds": 1.0}))
    return job


@pytest.fixture(scope="session")
def grpo_job(sft_job: StageJob, tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    """A finished GRPO of three rounds on `sft_job`."""
    from factories_model import make_job

    from unichar.grpo.train import run

    job = make_job("grpo", tmp_path_factory.mktemp("grpo"), sft_job.inputs | {"sft_checkpoint": sft_job.out})
    (job.out / "summary.json").write_text(json.dumps({**run(job), "seconds": 1.0}))
    return job


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano of toy size, with its backbone beside it."""
    from factories_small import make_small_base

    return make_small_base(tmp_path_factory.mktemp("small") / "nano")


@pytest.fixture(scope="session")
def larger_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nano of toy size that draws what the examiner can look at."""
    from factories_grpo import LARGER
    from factories_small import make_small_base

    return make_small_base(tmp_path_factory.mktemp("larger") / "nano", LARGER)
