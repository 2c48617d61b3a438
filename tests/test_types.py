"""Records come back from JSON as they were written."""

import dataclasses
import json
from pathlib import Path

import pytest
from factories_interactions import make_curated_kit

from unichar.errors import UserError
from unichar.types import CuratedKit, Interaction, LoadConfig, Segment, read_interactions

PICTURE = Segment(type="image", value="images/03.png", role="assistant", loss=True)
TALK = Interaction(
    id="text_to_image-0004",
    kind="portrait",
    form="plain",
    split="train",
    group="image-03",
    segments=(
        Segment(type="text", value="Who is there?", role="user"),
        Segment(type="text", value="Ich – „Mochi“!", role="assistant", loss=True),
        Segment(type="text", value="Draw it.", role="user"),
        PICTURE,
    ),
    options=("a", "b"),
    attributes={"pose": "waving"},
)


def test_a_curated_kit_is_read_as_it_was_written(tmp_path: Path) -> None:
    kit = make_curated_kit(tmp_path)
    assert CuratedKit.read(tmp_path) == kit
    hash(kit.persona)  # lists would not have one


def test_a_kit_from_before_domains_has_none(tmp_path: Path) -> None:
    kit = make_curated_kit(tmp_path)
    raw = json.loads(kit.to_json())
    del raw["domain"]
    (tmp_path / "kit.json").write_text(json.dumps(raw))
    assert CuratedKit.read(tmp_path) == dataclasses.replace(kit, domain="")


def test_the_splits_share_no_picture_and_miss_none(tmp_path: Path) -> None:
    kit = make_curated_kit(tmp_path)
    train, test = kit.split("train"), kit.split("test")
    assert train and test and sorted(map(repr, train + test)) == sorted(map(repr, kit.pictures))


def test_interactions_are_read_as_they_were_written_in_order(tmp_path: Path) -> None:
    other = dataclasses.replace(TALK, id="text_to_image-0005", options=(), attributes={})
    path = tmp_path / "train.jsonl"
    path.write_text(f"{TALK.to_json()}\n{other.to_json()}\n", encoding="utf-8")
    assert read_interactions(path) == [TALK, other]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_a_text_may_hold_any_line_separator(tmp_path: Path, separator: str) -> None:
    said = Segment(type="text", value=f"Line one{separator}line two", role="user")
    talk = dataclasses.replace(TALK, segments=(said, *TALK.segments))
    (tmp_path / "train.jsonl").write_text(f"{talk.to_json()}\n", encoding="utf-8")
    assert read_interactions(tmp_path / "train.jsonl") == [talk]


def test_an_empty_file_has_no_interactions(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("")
    assert read_interactions(tmp_path / "train.jsonl") == []


def test_the_prompt_is_the_last_user_text_and_the_target_the_last_segment_with_a_loss() -> None:
    assert (TALK.prompt, TALK.target) == ("Draw it.", PICTURE)


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TALK.split = "test"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"quantize": "int8"}, "quantize is 'int8'; expected one of"), ({"image_size": -1}, "image_size is -1")],
)
def test_a_model_is_not_loaded_in_ways_that_there_are_not(wrong: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LoadConfig(**wrong)
