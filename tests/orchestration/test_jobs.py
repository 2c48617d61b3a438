"""Onboarding by one config file, from a kit folder anywhere; errors name their reason and change nothing."""

import json
import shutil
from pathlib import Path

import dagster as dg
import yaml
from factories_kit import make_kit, pip_profile
from factories_orchestration import Pipeline, dagster, failures, publish_report

from orchestration.definitions import defs
from unichar.kit.content import kit_hash
from unichar.pipeline.run import run_stage


def onboard(pipeline: Pipeline, kit: Path, preset: str = "cpu") -> dg.ExecuteInProcessResult:
    config = {"ops": {"onboard": {"config": {"kit": str(kit), "preset": preset}}}}
    job = defs().resolve_job_def("onboard_character")
    return job.execute_in_process(instance=pipeline.instance, run_config=config, raise_on_error=False)


def test_a_rejected_kit_fails_the_command_with_every_reason_and_the_folder_to_edit(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    kit = make_kit(tmp_path, "pip", rights=None, profile="").rename(tmp_path / "From a friend")
    config = tmp_path / "pip.yaml"
    config.write_text(yaml.safe_dump({"ops": {"onboard": {"config": {"kit": str(kit)}}}}))
    done = dagster(
        "job", "execute", "-m", "orchestration.definitions", "-j", "onboard_character", "-c", str(config)
    )
    assert done.returncode == 1
    parent = next(run for run in pipeline.instance.get_runs() if run.job_name == "onboard_character")
    [failure] = [
        entry.dagster_event
        for entry in pipeline.instance.all_logs(parent.run_id)
        if entry.dagster_event.is_step_failure
    ]
    said = failure.step_failure_data.user_failure_data
    assert "rights_stated" in said.description and "profile.md" in said.description
    assert f"edit its files in {kit}, then" in said.description
    assert said.metadata["reasons"].value
    assert [run.job_name for run in pipeline.instance.get_runs()] == ["onboard_character"]
    assert pipeline.registered() == []
    assert not (pipeline.store.kits / "pip").exists()


def test_an_unchanged_kit_makes_nothing_again(pipeline: Pipeline) -> None:
    kit = make_kit(pipeline.characters, "pip")
    pipeline.instance.add_dynamic_partitions("characters", ["pip"])
    assert pipeline.run("prepare_character", "pip").success
    publish_report(pipeline, "pip", preset="cpu", seed=0)
    made = {path: path.stat().st_mtime_ns for path in pipeline.store.runs.glob("pip/*/*/manifest.json")}
    assert onboard(pipeline, kit).success
    assert {
        path: path.stat().st_mtime_ns for path in pipeline.store.runs.glob("pip/*/*/manifest.json")
    } == made
    assert pipeline.made("release") == {"pip"}


def test_what_is_wrong_with_a_folder_is_said_and_nothing_changes(pipeline: Pipeline, tmp_path: Path) -> None:
    make_kit(pipeline.characters, "pip")
    before = snapshot(pipeline.data)
    nameless = make_kit(tmp_path / "nameless", "Pip Two")
    for kit, reason in [
        (tmp_path / "nowhere", "there is no folder"),
        (nameless, "cannot be a character's id"),
    ]:
        assert reason in failures(onboard(pipeline, kit))["onboard"]
    assert pipeline.registered() == []
    assert snapshot(pipeline.data) == before
    assert [run.job_name for run in pipeline.instance.get_runs()] == ["onboard_character"] * 2


def test_an_unknown_preset_changes_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    kit = make_kit(tmp_path, "pip")
    assert "there is no preset 'huge'" in failures(onboard(pipeline, kit, preset="huge"))["onboard"]
    assert pipeline.registered() == []
    assert not pipeline.store.kits.exists()


def test_a_kit_is_mended_and_edited_in_its_own_folder(pipeline: Pipeline, tmp_path: Path) -> None:
    """A kit that is rejected, mended and edited again is onboarded from the author's folder each time."""
    kit = make_kit(tmp_path / "desk", "pip", profile="")
    assert f"edit its files in {kit}, then" in failures(onboard(pipeline, kit))["onboard"]
    assert not (pipeline.store.kits / "pip").exists()

    (kit / "profile.md").write_text(pip_profile())
    make_outputs(pipeline, kit)
    assert onboard(pipeline, kit).success
    first = kit_hash(pipeline.store.kit("pip"))
    assert first == kit_hash(kit)

    (kit / "profile.md").write_text(pip_profile() + "- Pip whistles.\n")
    make_outputs(pipeline, kit)
    result = onboard(pipeline, kit)
    assert result.success
    assert kit_hash(pipeline.store.kit("pip")) == kit_hash(kit)
    assert kit_hash(pipeline.store.kits / ".replaced" / f"pip-{first[:8]}") == first

    children = [run for run in pipeline.instance.get_runs() if run.job_name == "customize_character"]
    assert len(children) == 2
    assert result.run_id in {run.tags["unichar/onboarded_by"] for run in children}
    assert pipeline.registered() == ["pip"]
    assert pipeline.made("release") == {"pip"}


def make_outputs(pipeline: Pipeline, kit: Path) -> None:
    """Publish every output of a kit, so that its run trains nothing; the kit itself is taken away again."""
    place = pipeline.store.kits / "pip"
    kept = place.rename(pipeline.store.home / "kept") if place.exists() else None
    shutil.copytree(kit, place)
    for verb in ("validate", "curate", "synthesize"):
        run_stage(verb, "pip", preset="cpu", store=pipeline.store)
    publish_report(pipeline, "pip", preset="cpu", seed=0)
    shutil.rmtree(place)
    if kept:
        kept.rename(place)


def snapshot(folder: Path) -> str:
    return json.dumps(
        {str(path): path.read_bytes().hex() if path.is_file() else "" for path in sorted(folder.rglob("*"))}
    )
