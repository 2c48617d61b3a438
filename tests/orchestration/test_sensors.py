"""The inbox asks for one run a content version, never for a kit that is still being copied."""

import json
import logging
from pathlib import Path

import dagster as dg
import pytest
from factories_kit import make_kit
from factories_orchestration import Pipeline, publish_report

from orchestration.definitions import defs


class Inbox:
    """The sensor as the daemon runs it, scan after scan, its requests carried out like the daemon would."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.cursor: str | None = None
        self.run_keys: list[str] = []

    def scan(self) -> list[tuple[str, dict]]:
        """The (character, run config) of the runs one scan starts."""
        definitions = defs()
        context = dg.build_sensor_context(
            instance=self.pipeline.instance,
            instance_ref=self.pipeline.instance.get_ref(),
            cursor=self.cursor,
            definitions=definitions,
        )
        tick = definitions.resolve_sensor_def("kit_inbox").evaluate_tick(context)
        self.cursor = tick.cursor
        for request in tick.dynamic_partitions_requests or []:
            self.pipeline.instance.add_dynamic_partitions("characters", list(request.partition_keys))
        fresh = [request for request in tick.run_requests or [] if request.run_key not in self.run_keys]
        self.run_keys += [request.run_key or "" for request in fresh]
        return [(request.tags["dagster/partition"], request.run_config) for request in fresh]


@pytest.fixture
def inbox(pipeline: Pipeline) -> Inbox:
    return Inbox(pipeline)


def characters(started: list[tuple[str, dict]]) -> list[str]:
    return [character for character, _ in started]


def test_a_new_kit_runs_once_after_two_equal_scans(pipeline: Pipeline, inbox: Inbox) -> None:
    assert inbox.scan() == []
    make_kit(pipeline.characters, "pip")
    assert inbox.scan() == []
    assert pipeline.registered() == []
    assert characters(inbox.scan()) == ["pip"]
    assert pipeline.registered() == ["pip"]
    assert inbox.scan() == inbox.scan() == []


def test_a_kit_that_is_still_being_copied_waits(pipeline: Pipeline, inbox: Inbox) -> None:
    kit = make_kit(pipeline.characters, "pip")
    for part in range(3):
        (kit / "profile.md").write_text(f"part {part}")
        assert inbox.scan() == []
    assert characters(inbox.scan()) == ["pip"]


def test_changed_content_runs_once_more_and_so_does_the_way_back(pipeline: Pipeline, inbox: Inbox) -> None:
    kit = make_kit(pipeline.characters, "pip", profile="before")
    assert [characters(inbox.scan()) for _ in range(2)] == [[], ["pip"]]
    for text in ("after", "before", "after"):
        (kit / "profile.md").write_text(text)
        assert [characters(inbox.scan()) for _ in range(4)] == [[], ["pip"], [], []]


def test_folders_that_are_no_kits_are_named_and_left_alone(
    pipeline: Pipeline, inbox: Inbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    make_kit(pipeline.characters, "pip")
    for name in ("New Folder", "a,b", ".hidden", "empty"):
        (pipeline.characters / name).mkdir()
    (pipeline.characters / "notes.txt").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        assert [characters(inbox.scan()) for _ in range(2)] == [[], ["pip"]]
    said = caplog.text + capsys.readouterr().err
    assert all(name in said for name in ("New Folder", "a,b", "empty: it has no kit.yaml"))
    assert pipeline.registered() == ["pip"]


def test_the_reason_to_do_nothing_is_said(pipeline: Pipeline) -> None:
    make_kit(pipeline.characters, "pip")
    (pipeline.characters / "empty").mkdir()
    sensor = defs().resolve_sensor_def("kit_inbox")
    result = sensor(dg.build_sensor_context(instance=pipeline.instance))
    assert result.skip_reason.skip_message == "1 kits, none new or changed; 1 folders are no kits"


def test_a_character_that_was_made_from_this_kit_already_is_left_alone(
    pipeline: Pipeline, inbox: Inbox
) -> None:
    kit = make_kit(pipeline.characters, "pip")
    publish_report(pipeline, "pip", preset="smoke", seed=3)
    assert inbox.scan() == inbox.scan() == []
    (kit / "profile.md").write_text("new words")
    inbox.scan()
    [(character, config)] = inbox.scan()
    assert character == "pip"
    assert config["ops"]["sft_checkpoint"]["config"] == {"preset": "smoke", "seed": 3}


def test_one_damaged_report_does_not_stop_the_inbox(pipeline: Pipeline, inbox: Inbox) -> None:
    make_kit(pipeline.characters, "pip")
    (publish_report(pipeline, "pip", preset="cpu", seed=0).folder / "manifest.json").write_text("{")
    make_kit(pipeline.characters, "tock")
    inbox.scan()
    assert characters(inbox.scan()) == ["pip", "tock"]


def test_the_memory_is_plain_json(pipeline: Pipeline, inbox: Inbox) -> None:
    make_kit(pipeline.characters, "pip")
    inbox.scan()
    inbox.scan()
    memory = json.loads(inbox.cursor or "")
    assert set(memory) == {"seen", "asked"}
    assert memory["asked"]["pip"] == [memory["seen"]["pip"], 1]


def test_many_new_kits_are_spread_over_scans(pipeline: Pipeline, inbox: Inbox, tmp_path: Path) -> None:
    for number in range(23):
        folder = pipeline.characters / f"c{number}"
        folder.mkdir()
        (folder / "kit.yaml").write_text(f"id: c{number}\n")
    inbox.scan()
    assert len(inbox.scan()) == 20
    assert len(inbox.scan()) == 3
    assert inbox.scan() == []
