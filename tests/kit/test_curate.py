import json
import logging
from pathlib import Path
from typing import Any

import pytest
from factories_kit import make_kit, pip_scenes
from PIL import Image

from unichar.kit import curate
from unichar.kit.config import KitConfig
from unichar.kit.validate import KitRejected, inspect
from unichar.types import CuratedKit, StageJob


def run(folder: Path, parent: Path, *, seed: int = 0, **config: Any) -> tuple[dict[str, Any], Path]:
    """Validate and curate; returns the summary and the output folder."""
    settings = KitConfig(**config)
    evidence, out = parent / "validated", parent / f"out-{seed}"
    evidence.mkdir(parents=True, exist_ok=True)
    out.mkdir()
    (evidence / "validation.json").write_text(inspect(folder, settings).to_json())
    inputs = {"raw_kit": folder, "validated_kit": evidence}
    job = StageJob(
        character="pip", config=settings, seed=seed, inputs=inputs, base=parent, scratch=parent, out=out
    )
    return curate.run(job), out


def content(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_kit_is_curated_whole(tmp_path: Path) -> None:
    summary, out = run(make_kit(tmp_path, size=200), tmp_path)
    assert summary == {
        "num_pictures": 10,
        "num_train": 8,
        "num_held_out": 2,
        "num_duplicates": 0,
        "num_facts": 6,
        "num_dialogues": 5,
    }
    kit = CuratedKit.read(out)
    assert (kit.id, kit.name, kit.category) == ("pip", "Pip", "toon")
    assert kit.persona.traits == ("cheerful", "busy", "honest")
    assert kit.facts[0].paraphrase == "What is the name of Pip's work place?"
    assert kit.domain == "toon"
    assert [picture.image for picture in kit.split("test")] == ["images/08.png", "images/09.png"]
    for picture in kit.pictures:
        assert "Pip" in picture.caption and picture.thinking and picture.instruction
        assert "skin" not in picture.attributes
        with Image.open(out / picture.image) as image:
            assert (image.mode, image.size) == ("RGB", (128, 128))


def test_the_size_is_the_one_asked_for(tmp_path: Path) -> None:
    _, out = run(make_kit(tmp_path), tmp_path, size=64)
    with Image.open(out / "images" / "00.png") as image:
        assert image.size == (64, 64)


def test_given_words_stay_and_composed_ones_are_accounted_for(tmp_path: Path) -> None:
    scenes = pip_scenes()
    scenes[0] |= {"thinking": "Tea time.", "instruction": "Pip with tea."}
    _, out = run(make_kit(tmp_path, scenes=scenes), tmp_path)
    first = CuratedKit.read(out).pictures[0]
    assert (first.caption, first.thinking, first.instruction) == (
        scenes[0]["caption"],
        "Tea time.",
        "Pip with tea.",
    )
    composed = json.loads((out / "curation.json").read_text())["composed"]
    assert composed["caption"] == ["05.png", "06.png", "07.png", "08.png", "09.png"]
    assert "00.png" not in composed["thinking"]


def test_copies_are_left_out_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="unichar")
    folder = make_kit(tmp_path)
    (folder / "images" / "03.png").write_bytes((folder / "images" / "01.png").read_bytes())
    with Image.open(folder / "images" / "02.png") as image:
        image.resize((90, 90)).save(folder / "images" / "04.png")
    summary, out = run(folder, tmp_path)
    assert (summary["num_pictures"], summary["num_duplicates"]) == (8, 2)
    assert json.loads((out / "curation.json").read_text())["copies"] == {
        "03.png": "01.png",
        "04.png": "02.png",
    }
    assert "left out images/03.png: it shows the same as images/01.png" in caplog.messages
    assert sorted(path.name for path in (out / "images").iterdir()) == [
        f"{number:02d}.png" for number in range(8)
    ]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(tmp_path: Path) -> None:
    scenes = [{key: value for key, value in row.items() if key != "held_out"} for row in pip_scenes()]
    folder = make_kit(tmp_path, scenes=scenes)
    _, first = run(folder, tmp_path / "a", seed=1)
    _, again = run(folder, tmp_path / "b", seed=1)
    assert content(first) == content(again)
    splits = {
        tuple(p.image for p in CuratedKit.read(run(folder, tmp_path, seed=seed)[1]).split("test"))
        for seed in range(4)
    }
    assert len(splits) > 1


def test_a_kit_changed_after_validation_is_refused(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    evidence, out = tmp_path / "validated", tmp_path / "out"
    evidence.mkdir()
    out.mkdir()
    (evidence / "validation.json").write_text(inspect(folder, KitConfig()).to_json())
    (folder / "profile.md").write_text("other")
    inputs = {"raw_kit": folder, "validated_kit": evidence}
    job = StageJob(
        character="pip", config=KitConfig(), seed=0, inputs=inputs, base=tmp_path, scratch=tmp_path, out=out
    )
    with pytest.raises(KitRejected, match="files changed"):
        curate.run(job)
    assert list(out.iterdir()) == []


def test_a_bad_or_unvalidated_kit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KitRejected, match="rights_stated"):
        run(make_kit(tmp_path, rights={}), tmp_path)
    (tmp_path / "validated" / "validation.json").unlink()
    inputs = {"raw_kit": tmp_path / "pip", "validated_kit": tmp_path / "validated"}
    job = StageJob(
        character="pip",
        config=KitConfig(),
        seed=0,
        inputs=inputs,
        base=tmp_path,
        scratch=tmp_path,
        out=tmp_path,
    )
    with pytest.raises(KitRejected, match="never validated"):
        curate.run(job)


def test_the_contact_sheet_shows_every_picture_and_marks_the_held_out_ones(tmp_path: Path) -> None:
    _, out = run(make_kit(tmp_path), tmp_path)
    with Image.open(out / "contact_sheet.png") as page:
        assert page.size == (5 * 170 + 10, 2 * 192 + 10)
        mark = (214, 96, 0)
        cells = [
            page.getpixel((10 + number % 5 * 170 - 2, 10 + number // 5 * 192 + 80)) for number in range(10)
        ]
        assert [cell == mark for cell in cells] == [False] * 8 + [True] * 2
