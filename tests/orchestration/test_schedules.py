"""The weekly look starts runs only for characters that would come out different, and says why for each."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from factories_kit import make_kit
from factories_orchestration import Pipeline, publish_report

from orchestration.definitions import defs


def look(pipeline: Pipeline) -> Any:
    """What the schedule decides on a Monday."""
    repository = defs().get_repository_def()
    monday = datetime(2026, 3, 2, 3, tzinfo=UTC)
    context = dg.build_schedule_context(
        instance=pipeline.instance, scheduled_execution_time=monday, repository_def=repository
    )
    return repository.get_schedule_def("weekly_retrain").evaluate_tick(context)


def test_only_characters_that_changed_run_with_the_settings_of_their_last_report(pipeline: Pipeline) -> None:
    for name in ("pip", "tock"):
        make_kit(pipeline.characters, name)
        pipeline.instance.add_dynamic_partitions("characters", [name])
        publish_report(pipeline, name, preset="smoke", seed=2)
    assert look(pipeline).run_requests == []
    (pipeline.characters / "tock" / "profile.md").write_text("Tock has changed.")
    [request] = look(pipeline).run_requests
    assert request.partition_key == "tock"
    assert request.run_key == "tock@2026-03-02"
    assert request.tags["unichar/reason"] == "validated_kit: raw_kit changed"
    assert request.run_config["ops"]["sft_checkpoint"]["config"] == {"preset": "smoke", "seed": 2}


def test_why_a_character_is_left_alone_is_said(pipeline: Pipeline) -> None:
    pipeline.instance.add_dynamic_partitions("characters", ["gone", "new", "same"])
    for name in ("new", "same"):
        make_kit(pipeline.characters, name)
    publish_report(pipeline, "same", preset="cpu", seed=0)
    message = look(pipeline).skip_message or ""
    assert "gone: has no report yet" in message
    assert "new: has no report yet" in message
    assert "same: nothing changed since its last report" in message


def test_a_new_base_model_is_a_reason(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip")
    pipeline.instance.add_dynamic_partitions("characters", ["pip"])
    publish_report(pipeline, "pip", preset="cpu", seed=0)
    (pipeline.data / "models" / "nano" / "base.safetensors").write_bytes(b"a better base")
    [request] = look(pipeline).run_requests
    assert request.tags["unichar/reason"] == "sft_checkpoint: another base model"


def test_a_report_whose_kit_is_gone_is_left_alone(pipeline: Pipeline) -> None:
    kit = make_kit(pipeline.characters, "pip")
    pipeline.instance.add_dynamic_partitions("characters", ["pip"])
    publish_report(pipeline, "pip", preset="cpu", seed=0)
    kit.rename(pipeline.data / "moved")
    assert "there is no kit for 'pip'" in (look(pipeline).skip_message or "")


def test_without_characters_it_says_so(pipeline: Pipeline) -> None:
    assert look(pipeline).skip_message == "there are no characters yet"
