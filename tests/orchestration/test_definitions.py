"""The graph is the stage table; loading it is cheap; both ways to find it agree."""

import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

from orchestration.definitions import defs
from unichar.kit.checks import CHECKS
from unichar.stages import STAGES

ROOT = Path(__file__).parents[2]


def test_one_asset_a_stage_with_what_it_needs() -> None:
    graph = defs().resolve_asset_graph()
    needs = {}
    for key in graph.get_all_asset_keys():
        needs[key.to_user_string()] = {parent.to_user_string() for parent in graph.get(key).parent_keys}
    assert needs == {stage.noun: set(stage.needs) for stage in STAGES}


def test_stages_that_load_a_model_share_the_gpu_pool() -> None:
    pools = {}
    for asset in defs().resolve_asset_graph().assets_defs:
        pools |= {key.to_user_string(): asset.op.pool for key in asset.keys}
    assert {noun for noun, pool in pools.items() if pool == "gpu"} == {
        stage.noun for stage in STAGES if stage.own_process
    }


def test_every_asset_and_check_has_a_partition_a_character() -> None:
    graph = defs().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        assert graph.get(key).partitions_def == dg.DynamicPartitionsDefinition(name="characters")
    for check in graph.asset_check_keys:
        assert graph.get(check).partitions_def == dg.DynamicPartitionsDefinition(name="characters"), check


def test_every_check_of_a_kit_is_there_and_the_critical_ones_block() -> None:
    graph = defs().resolve_asset_graph()
    found = {
        key.name: graph.get(key).blocking
        for key in graph.asset_check_keys
        if key.asset_key == dg.AssetKey("raw_kit")
    }
    assert found == {check.name: check.severity == "critical" for check in CHECKS}


def test_jobs_resolve_and_nothing_that_trains_is_on() -> None:
    definitions = defs()
    names = {job.name for job in definitions.resolve_all_job_defs()}
    assert {"customize_character", "onboard_character", "prepare_character", "re_evaluate"} <= names
    assert definitions.resolve_sensor_def("kit_inbox").default_status == dg.DefaultSensorStatus.STOPPED
    assert definitions.resolve_sensor_def("dead_runs").default_status == dg.DefaultSensorStatus.RUNNING
    assert (
        definitions.resolve_schedule_def("weekly_retrain").default_status == dg.DefaultScheduleStatus.STOPPED
    )


@pytest.mark.parametrize("name", ["onboard_mochi.yaml", "customize_smoke.yaml"])
def test_example_configs_fit_their_jobs(name: str) -> None:
    job = "onboard_character" if name.startswith("onboard") else "customize_character"
    config = yaml.safe_load((ROOT / "configs" / name).read_text())
    assert dg.validate_run_config(defs().resolve_job_def(job), config)


def test_loading_is_light_and_silent() -> None:
    script = (
        "import sys, orchestration.definitions as d; d.defs().resolve_all_job_defs();"
        "heavy = {'torch', 'great_expectations', 'transformers', 'pandas'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_workspace_and_pyproject_name_the_same_location() -> None:
    location = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert location["module_name"] == f"{project['root_module']}.definitions"
    assert location["location_name"] == project["code_location_name"]
