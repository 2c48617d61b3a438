"""Stages under Dagster: registration, the gates before training, versions and metadata of outputs."""

import dagster as dg
import pytest
from factories_kit import make_kit
from factories_orchestration import Pipeline, dagster, failures

from orchestration.defs import training

KIT_STAGES = ("raw_kit", "validated_kit", "curated_kit")


def test_a_plain_run_registers_a_character_dagster_never_heard_of(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip")
    done = dagster(
        "job", "execute", "-m", "orchestration.definitions", "-j", "prepare_character", "--tags", tag("pip")
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert pipeline.registered() == ["pip"]
    assert all(pipeline.made(noun) == {"pip"} for noun in (*KIT_STAGES, "interactions"))
    assert check_partitions(pipeline, "kit_readable") == {"pip": True}


def test_a_rejected_kit_stops_the_line_with_every_reason(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip", rights=None, facts=[], profile="")
    done = dagster(
        "job", "execute", "-m", "orchestration.definitions", "-j", "customize_character", "--tags", tag("pip")
    )
    assert done.returncode == 1
    for reason in ("rights_stated", "texts_filled", "profile.md", "facts"):
        assert reason in done.stderr
    assert pipeline.made("raw_kit") == {"pip"}
    assert not any(
        pipeline.made(noun)
        for noun in ("validated_kit", "curated_kit", "interactions", "sft_checkpoint", "release")
    )
    assert not (pipeline.store.runs / "pip" / "4_sft_checkpoint").exists()
    assert check_partitions(pipeline, "rights_stated") == {"pip": False}
    assert check_partitions(pipeline, "kit_readable") == {"pip": True}


def test_training_alone_refuses_a_rejected_kit(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip", rights=None)
    pipeline.instance.add_dynamic_partitions("characters", ["pip"])
    assert not pipeline.run("prepare_character", "pip").success
    result = train(pipeline, "pip")
    assert not result.success
    assert "validate" in failures(result)["sft_checkpoint"]
    assert not pipeline.made("sft_checkpoint")


def test_training_alone_refuses_a_kit_that_changed_after_it_passed(pipeline: Pipeline) -> None:
    kit = make_kit(pipeline.characters, "pip")
    assert pipeline.run("prepare_character", "pip").success
    (kit / "profile.md").write_text("Pip is somebody else now.\n")
    result = train(pipeline, "pip")
    assert not result.success
    assert "changed since validation" in failures(result)["sft_checkpoint"]


def test_a_second_run_makes_nothing_again(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip")
    assert pipeline.run("prepare_character", "pip").success
    made = sorted(pipeline.store.runs.glob("pip/*/*/manifest.json"))
    times = [path.stat().st_mtime_ns for path in made]
    assert pipeline.run("prepare_character", "pip").success
    assert sorted(pipeline.store.runs.glob("pip/*/*/manifest.json")) == made
    assert [path.stat().st_mtime_ns for path in made] == times


def test_outputs_carry_their_version_and_where_they_lie(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip")
    assert pipeline.run("prepare_character", "pip").success
    for noun in ("validated_kit", "curated_kit", "interactions"):
        output, shown = pipeline.store.current("pip", noun), latest(pipeline, noun)
        assert shown.metadata["output"].value == str(output.folder)
        assert shown.tags["unichar/fingerprint"] == output.fingerprint
        assert shown.tags["dagster/data_version"] == output.version
    assert (
        latest(pipeline, "curated_kit")
        .metadata["contact_sheet"]
        .value.startswith("![contact_sheet](data:image/jpeg;base64,")
    )
    assert (
        latest(pipeline, "raw_kit").tags["dagster/data_version"]
        == pipeline.store.current("pip", "curated_kit").manifest["kit_hash"]
    )


@pytest.mark.parametrize("key", ["Pip", "../pip", "pip,tock", "pip/a", "a" * 49])
def test_a_wrong_key_registers_nothing(pipeline: Pipeline, key: str) -> None:
    result = pipeline.run("prepare_character", key)
    assert "cannot be a character's id" in failures(result)["raw_kit"]
    assert pipeline.registered() == []
    assert not pipeline.store.runs.exists()


def test_a_missing_kit_registers_nothing(pipeline: Pipeline) -> None:
    result = pipeline.run("prepare_character", "nobody")
    assert str(pipeline.characters / "nobody") in failures(result)["raw_kit"]
    assert pipeline.registered() == []


def test_a_run_without_a_character_says_how_to_name_one(pipeline: Pipeline) -> None:
    from orchestration.definitions import defs

    result = (
        defs()
        .resolve_job_def("prepare_character")
        .execute_in_process(instance=pipeline.instance, raise_on_error=False)
    )
    assert "--tags" in failures(result)["raw_kit"]


def test_an_unknown_preset_is_one_clear_message(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip")
    config = {"ops": {"kit_checks": {"config": {"preset": "huge"}}}}
    result = pipeline.run("prepare_character", "pip", config)
    assert "there is no preset 'huge'" in failures(result)["kit_checks"]


@pytest.mark.parametrize("step", ["kit_checks", "validated_kit"])
def test_a_kit_that_the_preset_cannot_take_stops_the_run_before_training(
    pipeline: Pipeline, step: str
) -> None:
    make_kit(pipeline.characters, "pip")
    result = pipeline.run("prepare_character", "pip", {"ops": {step: {"config": {"preset": "bagel"}}}})
    assert "pip cannot be trained with the model bagel" in failures(result)[step]
    assert not any(pipeline.made(noun) for noun in ("validated_kit", "curated_kit", "interactions"))


def train(pipeline: Pipeline, character: str) -> dg.ExecuteInProcessResult:
    """Only the training asset, in a run of its own."""
    return dg.materialize(
        [training.sft_checkpoint], instance=pipeline.instance, partition_key=character, raise_on_error=False
    )


def tag(character: str) -> str:
    return f'{{"dagster/partition": "{character}"}}'


def latest(pipeline: Pipeline, noun: str) -> dg.AssetMaterialization:
    event = pipeline.instance.get_latest_materialization_event(dg.AssetKey(noun))
    assert event is not None and event.asset_materialization is not None
    return event.asset_materialization


def check_partitions(pipeline: Pipeline, name: str) -> dict[str, bool]:
    """Character -> whether this check of its kit passed last."""
    key = dg.AssetCheckKey(dg.AssetKey("raw_kit"), name)
    records = pipeline.instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    return {
        r.partition: r.event.dagster_event.event_specific_data.passed
        for r in reversed(records)
        if r.partition and r.event
    }
