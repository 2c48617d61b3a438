"""Kits in the held-out styles."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from factories_worlds import make_art

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from draw_kits import HELD_OUT, draw_kit

from unichar.kit.schema import load_kit
from unichar.pretrain.worlds.styles import HELD_OUT as STYLES

CHARACTERS = yaml.safe_load((Path(__file__).parents[2] / "tools" / "held_out_kits.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    art = make_art(tmp_path_factory.mktemp("art"))
    folder = tmp_path_factory.mktemp("kits")
    for character in CHARACTERS:
        draw_kit(character, folder / character["id"], art)
    return folder


def test_there_is_a_kit_in_every_held_out_style():
    assert sorted(character["style"] for character in CHARACTERS) == sorted(STYLES)


@pytest.mark.parametrize("character", CHARACTERS, ids=lambda character: character["id"])
def test_a_kit_can_be_read_and_has_ten_pictures_and_three(kits, character):
    kit = load_kit(kits / character["id"])
    lines = [json.loads(line) for line in (kits / character["id"] / "scenes.jsonl").read_text().splitlines()]
    assert len(lines) == 13 and [line["held_out"] for line in lines].count(True) == len(HELD_OUT) == 3
    assert len({(kits / character["id"] / "images" / line["image"]).read_bytes() for line in lines}) == 13
    assert len({line["caption"] for line in lines}) == 13
    assert all(line["caption"].startswith(character["name"]) for line in lines)
    assert kit is not None and all(evidence in kit.profile for _, _, evidence in character["facts"])


def test_rights_are_those_of_the_style(kits):
    for name, basis in (("ines", "public-domain"), ("bex", "licensed")):
        sheet = yaml.safe_load((kits / name / "kit.yaml").read_text())
        assert sheet["rights"]["basis"] == basis and "C" in sheet["rights"]["note"]


def test_kits_are_drawn_alike_every_time(kits, tmp_path):
    draw_kit(CHARACTERS[0], tmp_path / "again", make_art(tmp_path / "art"))
    for path in sorted((tmp_path / "again").rglob("*.*")):
        assert path.read_bytes() == (kits / "runa" / path.relative_to(tmp_path / "again")).read_bytes()
