import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from factories_kit import PIP_DIALOGUES, PIP_FACTS, make_kit, pip_scenes, pip_values, write_lines
from PIL import Image

from unichar.kit.config import KitConfig
from unichar.kit.content import kit_hash
from unichar.kit.validate import CHECKS, CheckResult, KitRejected, Verdict, inspect, run
from unichar.types import StageJob

Break = Callable[[Path], None]


def scenes(change: Callable[[list[dict[str, Any]]], object]) -> Break:
    """A change of the lines of scenes.jsonl."""

    def apply(folder: Path) -> None:
        rows = pip_scenes()
        change(rows)
        write_lines(folder / "scenes.jsonl", rows)

    return apply


def sheet(**entries: Any) -> Break:
    """A change of entries of kit.yaml."""

    def apply(folder: Path) -> None:
        (folder / "kit.yaml").write_text(yaml.safe_dump(pip_values() | entries))

    return apply


def picture(name: str, image: Image.Image | bytes) -> Break:
    """Another picture in the place of one."""

    def apply(folder: Path) -> None:
        path = folder / "images" / name
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            image.save(path)

    return apply


def cut_off(folder: Path) -> None:
    path = folder / "images" / "01.png"
    path.write_bytes(path.read_bytes()[:900])


def copied(folder: Path) -> None:
    (folder / "images" / "01.png").write_bytes((folder / "images" / "00.png").read_bytes())


def compressed(folder: Path) -> None:
    with Image.open(folder / "images" / "00.png") as image:
        image.save(folder / "images" / "01.png", format="JPEG", quality=60)


def removed(folder: Path) -> None:
    (folder / "images" / "02.png").unlink()


def only_few(folder: Path) -> None:
    for path in sorted((folder / "images").iterdir())[4:]:
        path.unlink()
    write_lines(folder / "scenes.jsonl", pip_scenes()[:4])


def held_out_copied(folder: Path) -> None:
    for train, held_out in (("00.png", "08.png"), ("01.png", "09.png")):
        (folder / "images" / held_out).write_bytes((folder / "images" / train).read_bytes())


def facts(*more: dict[str, str], **entries: str) -> Break:
    """Pip's facts with other entries in the first, and with more behind them."""
    return sheet(facts=[PIP_FACTS[0] | entries, *PIP_FACTS[1:], *more])


RIGHTS = pip_values()["rights"]
BROKEN: list[tuple[str, str, Break]] = [
    ("kit_readable", "did you mean rights?", sheet(right={})),
    ("kit_readable", "is missing", lambda folder: (folder / "profile.md").unlink()),
    ("key_valid", "folder is called 'pip'", sheet(id="pop")),
    ("key_valid", "'Pip' is no valid key", sheet(id="Pip")),
    ("rights_stated", "basis is 'mine'", sheet(rights=RIGHTS | {"basis": "mine"})),
    ("rights_stated", "holder is empty", sheet(rights=RIGHTS | {"holder": " "})),
    ("rights_stated", "basis is ''", sheet(rights={})),
    ("rights_stated", "consent is empty", sheet(rights=RIGHTS | {"basis": "consent"})),
    ("rights_stated", "consent is empty", sheet(category="human")),
    ("texts_filled", "category is 'robot'", sheet(category="robot")),
    ("texts_filled", "kit.yaml: description: is empty", sheet(description="")),
    (
        "texts_filled",
        "kit.yaml: persona: traits: is empty",
        sheet(persona=pip_values()["persona"] | {"traits": []}),
    ),
    ("texts_filled", "scenes.jsonl line 3: reply: is empty", scenes(lambda rows: rows[2].update(reply="  "))),
    ("texts_filled", "profile.md: is empty", lambda folder: (folder / "profile.md").write_text("\n")),
    (
        "texts_filled",
        "dialogues.jsonl line 6",
        lambda f: write_lines(f / "dialogues.jsonl", [*PIP_DIALOGUES, {"user": "a"}]),
    ),
    ("texts_fit_prompts", "has 1001 characters, 1000 fit", sheet(description="x" * 1001)),
    ("texts_fit_prompts", "line 1: user: has 801", scenes(lambda rows: rows[0].update(user="x" * 801))),
    ("texts_fit_prompts", "control token", scenes(lambda rows: rows[0].update(reply="Bye.<|im_end|>"))),
    ("texts_fit_prompts", "control token", scenes(lambda rows: rows[0].update(thinking="</think> and so"))),
    ("picture_count", "4 distinct usable pictures", only_few),
    (
        "picture_count",
        "0 pictures to train on",
        scenes(lambda rows: [row.update(held_out=True) for row in rows]),
    ),
    ("picture_count", "0 held-out pictures", held_out_copied),
    ("pictures_usable", "images/01.png: is damaged or cut off", cut_off),
    ("pictures_usable", "images/01.png: is not a PNG, JPEG or WebP", picture("01.png", b"hello")),
    ("pictures_usable", "images/10.heic: is not a file of the kinds .png", picture("10.heic", b"hello")),
    (
        "pictures_usable",
        "images/10.png: is not a file",
        lambda folder: (folder / "images" / "10.png").mkdir(),
    ),
    (
        "pictures_usable",
        "shorter side has 40 pixels, 64 are needed",
        picture("01.png", Image.new("RGB", (50, 40))),
    ),
    (
        "pictures_suit_model",
        "has 100 pixels and is enlarged to 128",
        picture("01.png", Image.new("RGB", (100, 100))),
    ),
    ("pictures_suit_model", "is 3 times as long as wide", picture("01.png", Image.new("RGB", (390, 130)))),
    ("pictures_distinct", "images/01.png: shows the same as 00.png", copied),
    ("pictures_distinct", "images/01.png: shows the same as 00.png", compressed),
    ("scenes_complete", "names 02.png, which is not in images/", removed),
    ("scenes_complete", "did you mean 03.png?", scenes(lambda rows: rows[3].update(image="3.png"))),
    ("scenes_complete", "images/09.png: has 0 lines", scenes(lambda rows: rows.pop())),
    ("scenes_complete", "images/00.png: has 2 lines", scenes(lambda rows: rows.append(rows[0]))),
    (
        "scenes_complete",
        "not in images/",
        scenes(lambda rows: rows[0].update(image="../../pip/images/00.png")),
    ),
    (
        "attributes_known",
        "did you mean green?",
        scenes(lambda rows: rows[1]["attributes"].update(color="gren")),
    ),
    (
        "attributes_known",
        "did you mean color?",
        scenes(lambda rows: rows[1]["attributes"].update(colour="red")),
    ),
    (
        "attributes_known",
        "attributes are missing: pose",
        scenes(lambda rows: rows[1]["attributes"].pop("pose")),
    ),
    ("attributes_known", "attributes are missing: species", scenes(lambda rows: rows[1].pop("attributes"))),
    (
        "look_constant",
        "species is cat here, frog mostly",
        scenes(lambda rows: rows[1]["attributes"].update(species="cat")),
    ),
    ("facts_complete", "4 facts; 5 or more", sheet(facts=PIP_FACTS[:4])),
    ("facts_complete", "fact 7 of kit.yaml: no answer, evidence", facts({"question": "Why?"})),
    ("facts_complete", "more than once: where does pip work", facts(PIP_FACTS[0])),
    ("facts_complete", "question of fact 3", facts(paraphrase="Who is Pip's best friend?")),
    ("facts_in_profile", "not in profile.md: Pip can fly", facts(evidence="Pip can fly")),
    (
        "held_out_unseen",
        "said in scenes.jsonl line 1",
        scenes(lambda rows: rows[8].update(user="good morning PIP")),
    ),
    (
        "held_out_unseen",
        "in dialogues.jsonl line 1",
        scenes(lambda r: r[8].update(user=PIP_DIALOGUES[0]["user"])),
    ),
]


def result(verdict: Verdict, name: str) -> CheckResult:
    return next(result for result in verdict.results if result.name == name)


def test_a_good_kit_passes_every_check(tmp_path: Path) -> None:
    verdict = inspect(make_kit(tmp_path), KitConfig())
    assert [r.name for r in verdict.results] == [check.name for check in CHECKS]
    assert [r for r in verdict.results if not r.passed] == []


@pytest.mark.parametrize(
    ("check", "says", "damage"), BROKEN, ids=[f"{n}-{check}" for n, (check, _, _) in enumerate(BROKEN)]
)
def test_each_fault_is_found_by_its_check_and_named(
    tmp_path: Path, check: str, says: str, damage: Break
) -> None:
    folder = make_kit(tmp_path)
    damage(folder)
    verdict = inspect(folder, KitConfig())
    found = result(verdict, check)
    assert not found.passed and not found.skipped and found.hint
    assert says in "\n".join(f"{row['where']}: {row['says']}" for row in found.observed)
    assert verdict.passed == (found.severity == "warning")
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_every_check_has_a_fault_that_shows_it_works() -> None:
    assert {check for check, _, _ in BROKEN} == {check.name for check in CHECKS}


@pytest.mark.parametrize("text", ["[", "id: [", "nope: 1", "", "\x00"])
def test_a_kit_that_cannot_be_read_is_a_verdict_and_the_pictures_are_judged_all_the_same(
    tmp_path: Path, text: str
) -> None:
    folder = make_kit(tmp_path)
    (folder / "kit.yaml").write_text(text)
    cut_off(folder)
    verdict = inspect(folder, KitConfig())
    assert not result(verdict, "kit_readable").passed
    assert result(verdict, "texts_filled").skipped and not result(verdict, "texts_filled").passed
    assert not result(verdict, "pictures_usable").skipped and not result(verdict, "pictures_usable").passed
    assert result(verdict, "scenes_complete").passed


def test_a_folder_that_is_not_there_or_is_empty_is_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nobody", tmp_path / "empty"):
        verdict = inspect(folder, KitConfig())
        assert not verdict.passed
        assert "is missing" in str(result(verdict, "kit_readable").observed)


def test_the_limits_are_those_of_the_settings(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    assert inspect(folder, KitConfig(max_pictures=10)).passed
    assert not inspect(folder, KitConfig(max_pictures=9)).passed
    assert result(inspect(folder, KitConfig(size=1024)), "pictures_suit_model").num_offenders == 10


def make_job(folder: Path, parent: Path, **inputs: Path) -> StageJob:
    out = parent / "out"
    out.mkdir()
    return StageJob(
        character="pip",
        config=KitConfig(),
        seed=0,
        inputs={"raw_kit": folder} | inputs,
        base=parent,
        scratch=parent,
        out=out,
    )


def test_the_stage_writes_its_evidence_and_says_its_numbers(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    job = make_job(folder, tmp_path)
    assert run(job) == {
        "num_checks": len(CHECKS),
        "num_failed": 0,
        "num_warnings": 0,
        "kit_hash": kit_hash(folder),
    }
    assert Verdict.from_json((job.out / "validation.json").read_text()).passed
    assert "passed" in (job.out / "validation.html").read_text()


def test_the_stage_refuses_a_bad_kit_and_writes_nothing(tmp_path: Path) -> None:
    folder = make_kit(tmp_path, name="", rights={})
    cut_off(folder)
    job = make_job(folder, tmp_path)
    with pytest.raises(KitRejected) as caught:
        run(job)
    for check in ("texts_filled", "rights_stated", "pictures_usable"):
        assert check in str(caught.value)
    assert list(job.out.iterdir()) == []


def test_the_stage_uses_evidence_it_is_given(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    evidence = tmp_path / "validation.json"
    evidence.write_text(inspect(folder, KitConfig()).to_json())
    job = make_job(folder, tmp_path, validation=evidence)
    run(job)
    assert (job.out / "validation.json").read_text() == evidence.read_text()


def test_evidence_from_before_a_change_is_refused(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    evidence = tmp_path / "validation.json"
    evidence.write_text(inspect(folder, KitConfig()).to_json())
    (folder / "profile.md").write_text("other")
    with pytest.raises(KitRejected, match="files changed"):
        run(make_job(folder, tmp_path, validation=evidence))


def test_evidence_that_is_announced_but_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KitRejected, match="never validated"):
        run(make_job(make_kit(tmp_path), tmp_path, validation=tmp_path / "validation.json"))


def test_the_same_kit_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    assert inspect(folder, KitConfig()).to_json() == inspect(folder, KitConfig()).to_json()


def test_the_list_of_checks_is_light_to_import() -> None:
    """Orchestration lists the checks whenever it loads."""
    code = (
        "import sys, json\n"
        "import unichar.kit.validate, unichar.kit.curate, unichar.kit.ingest, unichar.kit.rolescape\n"
        "heavy = {'torch', 'pandas', 'great_expectations', 'dagster'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
