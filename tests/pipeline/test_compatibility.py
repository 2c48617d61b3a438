"""What a preset cannot take to the end is refused at its first stage, before a model is loaded."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories_config import replaced
from factories_kit import pip_scenes
from factories_pipeline import Toys, make_store

from unichar.errors import UserError
from unichar.judges.config import JudgesConfig
from unichar.kit.content import kit_hash
from unichar.pipeline.compatibility import check_compatible
from unichar.pipeline.kit_gate import check_kit
from unichar.pipeline.run import run_stage
from unichar.pipeline.status import forecast
from unichar.presets import Preset, bagel, cpu
from unichar.stages import STAGES, stage_of
from unichar.store.store import Store

REFUSAL = r"pip cannot be trained with the model bagel: .*`--preset cpu`.*remove `attributes` from every line"


@pytest.fixture
def toon(tmp_path: Path) -> Store:
    return make_store(tmp_path, "pip")


@pytest.fixture
def photo(tmp_path: Path) -> Store:
    """The same kit without attributes."""
    scenes = [{name: value for name, value in row.items() if name != "attributes"} for row in pip_scenes()]
    return make_store(tmp_path, "pip", scenes=scenes)


def with_rewards(preset: Preset, **reward: Any) -> Preset:
    return dataclasses.replace(preset, grpo=replaced(preset.grpo, reward=reward))


@pytest.mark.parametrize("verb", ["validate", "curate", "synthesize", "sft", "grpo", "evaluate"])
def test_a_toon_kit_is_refused_by_bagel_at_every_stage(toon: Store, toys: Toys, verb: str) -> None:
    with pytest.raises(UserError, match=REFUSAL):
        run_stage(verb, "pip", preset="bagel", store=toon)
    assert toys.ran == [] and not list(toon.runs.glob("pip/*/*/manifest.json"))


def test_it_is_refused_before_its_checks_too_as_dagster_runs_them(toon: Store) -> None:
    with pytest.raises(UserError, match=REFUSAL):
        check_kit("pip", preset="bagel", store=toon)
    assert not (toon.stage_folder("pip", "raw_kit") / kit_hash(toon.kit("pip"))).exists()


def test_the_command_says_so_in_one_line(toon: Store) -> None:
    command = [sys.executable, "-m", "unichar", "customize", "--character", "pip", "--preset", "bagel"]
    home = {"UNICHAR_HOME": str(toon.home), "UNICHAR_DATA": str(toon.data), "PATH": "/usr/bin:/bin"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "pip cannot be trained with the model bagel" in done.stderr


def test_a_dry_run_says_so_too(toon: Store) -> None:
    with pytest.raises(UserError, match=REFUSAL):
        forecast("pip", preset="bagel", seed=0, store=toon)


@pytest.mark.parametrize("stage", STAGES[1:], ids=lambda stage: stage.verb)
def test_nano_takes_both_and_bagel_photographs(tmp_path: Path, stage: Any, photo: Store) -> None:
    toon = make_store(tmp_path / "toon", "pip")
    for preset, store in ((cpu(), toon), (cpu(), photo), (bagel(), photo)):
        check_compatible(stage, preset, "pip", store)


def test_a_kit_that_cannot_be_read_is_left_to_its_checks(toon: Store) -> None:
    (toon.kit("pip") / "scenes.jsonl").write_text("{broken")
    check_compatible(stage_of("validate"), bagel(), "pip", toon)


def test_a_reward_without_a_judge_is_refused_before_sft(photo: Store) -> None:
    preset = with_rewards(cpu(), consistency_weight=0.5)
    with pytest.raises(UserError, match=r"consistency_weight is 0.5, but no judge .*with clip or endpoint"):
        check_compatible(stage_of("validate"), preset, "pip", photo)
    judges = JudgesConfig(endpoint="http://127.0.0.1:9/v1", endpoint_model="m")
    check_compatible(stage_of("validate"), with_rewards(preset, judges=judges), "pip", photo)


def test_toons_need_no_judge_for_that_reward(toon: Store) -> None:
    check_compatible(stage_of("sft"), with_rewards(cpu(), consistency_weight=0.5), "pip", toon)


@pytest.mark.parametrize("where", ["reward", "report"])
def test_a_missing_network_is_named_before_sft_and_not_before(photo: Store, where: str) -> None:
    judges = JudgesConfig(clip="/nowhere/clip", dino="")
    if where == "reward":
        preset = with_rewards(cpu(), judges=judges)
    else:
        preset = dataclasses.replace(cpu(), evaluation=replaced(cpu().evaluation, judges=judges))
    with pytest.raises(UserError, match="the judge /nowhere/clip cannot be loaded"):
        check_compatible(stage_of("sft"), preset, "pip", photo)
    check_compatible(stage_of("synthesize"), preset, "pip", photo)


def test_the_file_that_judges_bagel_must_exist(photo: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = photo.data / "models" / "bagel"
    weights.mkdir()
    monkeypatch.setenv("UNICHAR_BAGEL", str(weights))
    monkeypatch.setenv("UNICHAR_JUDGES", "/nowhere/base.safetensors")
    with pytest.raises(UserError, match=r"nowhere/base\.safetensors is missing: run `make data`"):
        check_compatible(stage_of("sft"), bagel(), "pip", photo)
    monkeypatch.setenv("UNICHAR_JUDGES", str(photo.base("nano")))
    check_compatible(stage_of("sft"), bagel(), "pip", photo)


def test_curation_stores_the_domain_that_was_checked(toon: Store, toys: Toys) -> None:
    for verb in ("validate", "curate"):
        run_stage(verb, "pip", preset="smoke", store=toon)
    kit = json.loads((toon.current("pip", "curated_kit").folder / "kit.json").read_text())
    assert kit["domain"] == "toon"
