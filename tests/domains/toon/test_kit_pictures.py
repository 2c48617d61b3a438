"""The pictures of a kit are drawn from its scenes, always the same, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories_kit import make_kit, pip_scenes, write_lines
from PIL import Image

from unichar.cli import main
from unichar.domains.toon.kit_pictures import render_kit


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


def test_draws_one_picture_a_line(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    pictures = render_kit(folder, size=96)
    assert pictures == [folder / "images" / f"{number:02d}.png" for number in range(10)]
    assert {Image.open(path).size for path in pictures} == {(96, 96)}
    assert {path.name for path in pictures} == set(_bytes(folder))  # nothing temporary is left


def test_same_scenes_same_bytes_wherever_the_kit_lies(tmp_path: Path) -> None:
    here, there = make_kit(tmp_path / "a"), make_kit(tmp_path / "b", id="other")
    render_kit(here, size=64)
    render_kit(there, size=64)
    assert _bytes(here) == _bytes(there)


def test_a_line_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    whole = make_kit(tmp_path / "whole")
    part = make_kit(tmp_path / "part", scenes=pip_scenes()[:3:-1])
    render_kit(whole, size=64)
    for path in render_kit(part, size=64):
        assert path.read_bytes() == (whole / "images" / path.name).read_bytes()


def test_other_attributes_other_picture(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    render_kit(folder, size=64)
    before = _bytes(folder)
    scenes = pip_scenes()
    scenes[4]["attributes"]["background"] = "forest"
    write_lines(folder / "scenes.jsonl", scenes)
    render_kit(folder, size=64)
    assert {name for name, data in _bytes(folder).items() if data != before[name]} == {"04.png"}


def _without_attributes(line: dict[str, Any]) -> None:
    del line["attributes"]


def _with_a_foreign_place(line: dict[str, Any]) -> None:
    line["attributes"]["background"] = "moon"


def _with_an_unknown_name(line: dict[str, Any]) -> None:
    line["attributes"]["mood"] = "sad"


def _without_a_pose(line: dict[str, Any]) -> None:
    del line["attributes"]["pose"]


def _human_without_skin(line: dict[str, Any]) -> None:
    line["attributes"]["species"] = "human"


def _with_a_photo(line: dict[str, Any]) -> None:
    line["image"] = "me.jpg"


def _with_the_first_name_again(line: dict[str, Any]) -> None:
    line["image"] = pip_scenes()[0]["image"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_without_attributes, "expected an object with a text 'image' and an object 'attributes'"),
        (_with_a_foreign_place, "background 'moon' is not one of: studio, beach"),
        (_with_an_unknown_name, "unknown attributes: mood; missing attributes: none"),
        (_without_a_pose, "unknown attributes: none; missing attributes: pose"),
        (_human_without_skin, "missing attributes: skin"),
        (_with_a_photo, "'me.jpg' is not a .png"),
        (_with_the_first_name_again, "already drawn by an earlier line"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_drawn(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], None], reason: str
) -> None:
    scenes = pip_scenes()
    spoil(scenes[2])
    folder = make_kit(tmp_path, scenes=scenes)
    before = _bytes(folder)
    with pytest.raises(ValueError, match=r"scenes\.jsonl, line 3: ") as caught:
        render_kit(folder, size=64)
    assert reason in str(caught.value)
    assert _bytes(folder) == before


def test_broken_json_is_named_by_its_line(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    lines = (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "scenes.jsonl").write_text("\n".join([*lines[:6], "{oops", *lines[7:]]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"scenes\.jsonl, line 7: "):
        render_kit(folder)


@pytest.mark.parametrize("text", [None, "", "\n\n"], ids=["absent", "empty", "blank"])
def test_a_kit_without_scenes_is_refused(tmp_path: Path, text: str | None) -> None:
    folder = make_kit(tmp_path)
    (folder / "scenes.jsonl").unlink()
    if text is not None:
        (folder / "scenes.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"scenes\.jsonl (does not exist|has no lines)"):
        render_kit(folder)


def test_the_command_draws_or_says_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_kit(tmp_path, scenes=pip_scenes()[:2])
    assert main(["draw-toons", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: 2 pictures\n"
    assert Image.open(folder / "images" / "01.png").size == (512, 512)

    assert main(["draw-toons", str(tmp_path / "nobody")]) == 2
    assert "scenes.jsonl does not exist" in capsys.readouterr().err


def test_names_outside_the_folder_stay_inside(tmp_path: Path) -> None:
    scenes = pip_scenes()[:1]
    scenes[0]["image"] = "../../secret.png"
    folder = make_kit(tmp_path / "kits", scenes=scenes)
    assert render_kit(folder, size=64) == [folder / "images" / "secret.png"]
    assert not (tmp_path / "secret.png").exists()


def test_blank_lines_are_skipped(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    rows = [json.dumps(row) for row in pip_scenes()[:2]]
    (folder / "scenes.jsonl").write_text("\n\n".join(rows) + "\n", encoding="utf-8")
    assert len(render_kit(folder, size=64)) == 2
