from pathlib import Path

import pytest
from factories_kit import make_kit, pip_scenes
from PIL import Image

from unichar.kit.config import KitConfig
from unichar.kit.schema import load_kit
from unichar.kit.split import PictureSplit, scan_pictures, split_pictures


def plan(folder: Path, seed: int = 0) -> PictureSplit:
    kit = load_kit(folder)
    return split_pictures(kit, scan_pictures(kit, KitConfig()), KitConfig(), seed=seed)


def unmarked() -> list[dict]:
    return [{key: value for key, value in row.items() if key != "held_out"} for row in pip_scenes()]


def test_the_author_decides_what_is_held_out(tmp_path: Path) -> None:
    assert plan(make_kit(tmp_path)).held_out == {"08.png", "09.png"}


def test_without_a_word_a_fifth_is_chosen_by_the_seed(tmp_path: Path) -> None:
    folder = make_kit(tmp_path, scenes=unmarked())
    choices = {plan(folder, seed).held_out for seed in range(20)}
    assert all(len(choice) == 2 for choice in choices)
    assert len(choices) > 5
    assert plan(folder, 3).held_out == plan(folder, 3).held_out


def test_a_moment_that_training_also_has_is_never_chosen(tmp_path: Path) -> None:
    scenes = unmarked()
    for number, row in enumerate(scenes[:6]):
        row["user"] = f"The same {number // 2}"
    scenes[6]["user"] = "has my LETTER come"  # said in a dialogue too
    folder = make_kit(tmp_path, scenes=scenes)
    for seed in range(20):
        assert plan(folder, seed).held_out <= {"07.png", "08.png", "09.png"}


@pytest.mark.parametrize("change", ["copied", "smaller", "compressed"])
def test_a_copy_is_left_out(tmp_path: Path, change: str) -> None:
    folder = make_kit(tmp_path)
    with Image.open(folder / "images" / "00.png") as image:
        other = image.resize((96, 96)) if change == "smaller" else image.copy()
    other.save(folder / "images" / "01.png", format="JPEG" if change == "compressed" else "PNG")
    made = plan(folder)
    assert made.copies == {"01.png": "00.png"}
    assert "01.png" not in [row.picture for row in made.rows]


def test_of_a_training_and_a_held_out_copy_the_held_out_one_goes(tmp_path: Path) -> None:
    scenes = pip_scenes()
    scenes[0]["held_out"] = True
    folder = make_kit(tmp_path, scenes=scenes)
    (folder / "images" / "05.png").write_bytes((folder / "images" / "00.png").read_bytes())
    made = plan(folder)
    assert made.copies == {"00.png": "05.png"}
    assert made.held_out == {"08.png", "09.png"}
