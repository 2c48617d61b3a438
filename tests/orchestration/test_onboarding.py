"""One config file brings a character in, from a folder anywhere; what is wrong is said, and then nothing has changed."""

import json
from pathlib import Path

import dagster as dg
import yaml
from factories_kit import make_kit
from factories_orchestration import Line, dagster, failures, publish_report

from orchestration.definitions import defs


def onboard(line: Line, kit: Path, preset: str = "cpu") -> dg.ExecuteInProcessResult:
    config = {"ops": {"onboard": {"config": {"kit": str(kit), "preset": preset}}}}
    job = defs().resolve_job_def("onboard_character")
    return job.execute_in_process(instance=line.instance, run_config=config, raise_on_error=False)


def test_a_rejected_kit_fails_the_command_with_every_reason_and_a_link(line: Line, tmp_path: Path) -> None:
    kit = make_kit(tmp_path, "pip", rights=None, profile="").rename(tmp_path / "From a friend")
    config = tmp_path / "pip.yaml"
    config.write_text(yaml.safe_dump({"ops": {"onboard": {"config": {"kit": str(kit)}}}}))
    done = dagster(
        "job", "execute", "-m", "orchestration.definitions", "-j", "onboard_character", "-c", str(config)
    )
    assert done.returncode == 1
    parent = next(run for run in line.instance.get_runs() if run.job_name == "onboard_character")
    child = next(run for run in line.instance.get_runs() if run.job_name == "customize_character")
    assert child.tags["unichar/onboarded_by"] == parent.run_id
    [failure] = [
        entry.dagster_event
        for entry in line.instance.all_logs(parent.run_id)
        if entry.dagster_event.is_step_failure
    ]
    said = failure.step_failure_data.user_failure_data
    assert "rights_stated" in said.description and "profile.md" in said.description
    assert said.metadata["run"] == dg.MetadataValue.dagster_run(child.run_id)
    assert line.registered() == ["pip"]
    assert (line.characters / "pip" / "kit.yaml").read_bytes() == (kit / "kit.yaml").read_bytes()
    assert not line.made("validated_kit")


def test_an_unchanged_kit_makes_nothing_again(line: Line) -> None:
    kit = make_kit(line.characters, "pip")
    line.instance.add_dynamic_partitions("characters", ["pip"])
    assert line.run("prepare_character", "pip").success
    publish_report(line, "pip", preset="cpu", seed=0)
    made = {path: path.stat().st_mtime_ns for path in line.store.runs.glob("pip/*/*/manifest.json")}
    assert onboard(line, kit).success
    assert {path: path.stat().st_mtime_ns for path in line.store.runs.glob("pip/*/*/manifest.json")} == made
    assert line.made("release") == {"pip"}


def test_what_is_wrong_with_a_folder_is_said_and_nothing_changes(line: Line, tmp_path: Path) -> None:
    make_kit(line.characters, "pip")
    before = snapshot(line.data)
    other = make_kit(tmp_path / "other", "pip", profile="Another Pip.")
    nameless = make_kit(tmp_path / "nameless", "Pip Two")
    for kit, reason in [
        (tmp_path / "nowhere", "there is no folder"),
        (other, "holds another kit already"),
        (nameless, "cannot be a character's id"),
    ]:
        assert reason in failures(onboard(line, kit))["onboard"]
    assert line.registered() == []
    assert snapshot(line.data) == before
    assert [run.job_name for run in line.instance.get_runs()] == ["onboard_character"] * 3


def test_an_unknown_preset_changes_nothing(line: Line, tmp_path: Path) -> None:
    kit = make_kit(tmp_path, "pip")
    assert "there is no preset 'huge'" in failures(onboard(line, kit, preset="huge"))["onboard"]
    assert line.registered() == []
    assert not (line.characters / "pip").exists()


def snapshot(folder: Path) -> str:
    return json.dumps(
        {str(path): path.read_bytes().hex() if path.is_file() else "" for path in sorted(folder.rglob("*"))}
    )
