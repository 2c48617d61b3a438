"""On a small folder with the layout and the known faults of RoleScape-20, and on the published sample if
it is there."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unichar.cli import main
from unichar.kit.config import KitConfig
from unichar.kit.rolescape import ImportRefused, import_rolescape
from unichar.kit.rolescape_persona import read_persona
from unichar.kit.schema import load_kit
from unichar.kit.validate import inspect

SAMPLE = Path(__file__).parents[3] / "shared" / "rolescape-sample" / "train"
PROFILE = """### **Character Profile: Rusty**

*   **Model:** Tin robot
*   **Personality:** Rusty is a shy tin robot. Rusty enjoys warm oil, especially at night.
*   **Linguistic Habits:** Rusty speaks in short beeps. Rusty says "Beep, beep, hello!" and refers to \
people as "the softies".
"""
SIMPLIFIED = """**Personality:**
- Shy at first, loyal for ever.
- **Tidy:** Every screw has a place.

**Preferences:**
- Loves polished floors.
- Hates rain.
"""


def write(path: Path, value: Any) -> None:
    text = (
        value
        if isinstance(value, str)
        else json.dumps({"description": "Rusty is a shy robot.", "opening": "", **value})
    )
    path.write_text(text, encoding="utf-8")


def scene(number: int, *, user: str) -> list[dict[str, Any]]:
    machine = {
        "role": "machine",
        "text": f"Beep, that is number {number}.",
        "image": str(number),
        "thinking_process": "The picture  shows Rusty’s day.",
        "generation_instruction": "A tin robot at work.",
    }
    return [{"role": "user", "text": user}, machine]


def exchange(user: str, reply: str, **more: str) -> list[dict[str, Any]]:
    return [{"role": "user", "text": user}, {"role": "machine", "text": reply, **more}]


def question(question: str, answer: str, evidence: str | list[str]) -> dict[str, Any]:
    return {"id": "qa_001", "question": question, "answer": answer, "evidence": evidence, "type": "fact"}


def make_source(parent: Path) -> Path:
    """`train/Toys-Rusty` with eight pictures and `test/Toys-Rusty` with two; files are named after
    `Rusty`."""
    train, test = parent / "train" / "Toys-Rusty", parent / "test" / "Toys-Rusty"
    for folder, num_pictures, word in ((train, 8, "train"), (test, 2, "test")):
        folder.mkdir(parents=True)
        scenes = [scene(number, user=f"What about {word} {number}?") for number in range(num_pictures)]
        captions = [
            {"image_id": str(n), "t2i_instruction": f"Rusty doing {word} {n}"} for n in range(num_pictures)
        ]
        write(folder / "Rusty_with_image.json", {"scenes": scenes})
        write(folder / "Rusty_t2i_instruction.json", {"t2i_instructions": captions})
        for number in range(num_pictures):
            noise = Image.effect_noise((150, 150), 90 + number + 20 * (word == "test")).convert("RGBA")
            if number == 1:
                noise.convert("RGB").save(folder / f"{number}.png", format="JPEG")
            else:
                noise.save(folder / f"{number}.png")
    write(train / "Rusty_full_profile.txt", PROFILE)
    write(train / "Rusty_personality_simplified_profile.txt", SIMPLIFIED)
    items = [
        question("What is Rusty?", "A tin robot", "Tin robot"),
        question("What is  Rusty", "A tin robot.", "Tin robot"),
        question("What kind of machine is Rusty?", "a tin robot", "**tin robot**"),
        question("How does Rusty speak?", "In short beeps", ["Rusty speaks", "in short beeps."]),
        question("What does Rusty enjoy?", "Warm oil", "Rusty enjoys\nwarm oil"),
        question("How does Rusty call people?", "“the softies”", "refers to people as “the softies”"),
        question("Is Rusty shy?", "Yes", "Rusty is a shy tin robot."),
    ]
    write(train / "Rusty_knowledge_qa.json", {"qa_items": items})
    dialogues = [
        *(scene(number, user=f"What about train {number}?") for number in range(8)),
        exchange("How are you?", "Beep! Oiled.", image="31"),
        exchange("How are you?", "Beep! Polished."),
        exchange("How are  you", "Beep – oiled!"),
        exchange("What about test 1?", "That would tell the test."),
    ]
    write(train / "Rusty_dialogue_text_extension_train.json", {"scenes": dialogues})
    return train


def test_a_character_becomes_a_kit_that_passes(tmp_path: Path) -> None:
    target = tmp_path / "rusty"
    counts = import_rolescape(
        make_source(tmp_path), target, category="toon", basis="licensed", holder="the toy makers"
    )
    assert counts == {
        "questions": 7,
        "questions repeated": 1,
        "questions in other words": 1,
        "facts": 5,
        "dialogues": 2,
        "dialogues that are scenes": 8,
        "dialogues repeated": 1,
        "dialogues too near a test": 1,
        "pictures": 10,
        "held out": 2,
    }
    kit = load_kit(target)
    assert (kit.sheet.id, kit.sheet.name, kit.sheet.rights.holder) == ("rusty", "Rusty", "the toy makers")
    verdict = inspect(target, KitConfig())
    assert [result.name for result in verdict.results if not result.passed] == []


def test_texts_are_cleaned(tmp_path: Path) -> None:
    target = tmp_path / "rusty"
    import_rolescape(make_source(tmp_path), target, category="toon", basis="licensed", holder="x")
    kit = load_kit(target)
    robot, speech, _, people, _ = kit.sheet.facts
    assert (robot.paraphrase, robot.evidence) == ("What kind of machine is Rusty?", "Tin robot")
    assert speech.evidence == "Rusty speaks in short beeps."
    assert people.answer == '"the softies"'
    first = kit.scenes["scenes.jsonl line 1"]
    assert first.thinking == "The picture shows Rusty's day."
    assert (first.caption, first.instruction) == ("Rusty doing train 0", "A tin robot at work.")
    assert [row.held_out for row in kit.scenes.values()] == [False] * 8 + [True] * 2
    assert kit.scenes["scenes.jsonl line 2"].image == "01.jpg"
    assert [row.reply for row in kit.dialogues.values()] == ["Beep! Oiled.", "Beep! Polished."]


def test_the_persona_is_read_from_the_profile() -> None:
    persona = read_persona(SIMPLIFIED, PROFILE, "Rusty is a shy robot.")
    assert persona.traits == ["Shy at first, loyal for ever.", "Tidy"]
    assert persona.style == "Rusty speaks in short beeps."
    assert persona.catchphrases == ["Beep, beep, hello!"]
    assert persona.likes == ["polished floors"]
    assert persona.dislikes == ["rain"]


def test_a_profile_without_any_structure_still_gives_traits_and_a_style() -> None:
    persona = read_persona("Just text.", "More text.", "Rusty is a shy robot. It beeps.")
    assert persona.traits == ["Rusty is a shy robot."]
    assert persona.style


def test_without_a_test_folder_nothing_is_held_out(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    (tmp_path / "test").rename(tmp_path / "elsewhere")
    assert (
        import_rolescape(source, tmp_path / "rusty", category="toon", basis="licensed", holder="x")[
            "held out"
        ]
        == 0
    )


@pytest.mark.parametrize("fault", ["no folder", "file missing", "no JSON", "other layout", "picture missing"])
def test_what_is_no_rolescape_folder_is_refused_and_nothing_written(tmp_path: Path, fault: str) -> None:
    source = make_source(tmp_path)
    if fault == "no folder":
        source = tmp_path / "nobody"
    elif fault == "file missing":
        (source / "Rusty_knowledge_qa.json").unlink()
    elif fault == "no JSON":
        write(source / "Rusty_with_image.json", "nope")
    elif fault == "other layout":
        write(source / "Rusty_knowledge_qa.json", {"items": []})
    else:
        (source / "3.png").unlink()
    with pytest.raises(ImportRefused, match=r"cannot be read|no valid JSON|not laid out"):
        import_rolescape(source, tmp_path / "out" / "rusty", category="toon", basis="licensed", holder="x")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_an_existing_kit_or_a_bad_id_is_refused(tmp_path: Path) -> None:
    source = make_source(tmp_path)
    with pytest.raises(ImportRefused, match="exists already"):
        import_rolescape(
            source,
            make_source(tmp_path / "other").rename(tmp_path / "rusty"),
            category="toon",
            basis="x",
            holder="x",
        )
    with pytest.raises(ValueError, match="a-z, 0-9"):
        import_rolescape(source, tmp_path / "Rusty", category="toon", basis="licensed", holder="x")


def test_the_command_prints_the_counts_and_asks_for_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNICHAR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("UNICHAR_KITS", raising=False)
    arguments = ["import-rolescape", str(make_source(tmp_path)), "--id", "rusty", "--category", "toon"]
    assert main(arguments) == 2
    assert "--rights-basis" in capsys.readouterr().err

    rights = ["--rights-basis", "licensed", "--rights-holder", "the toy makers"]
    assert main([*arguments, *rights]) == 0
    assert "1 questions repeated" in capsys.readouterr().out
    assert load_kit(tmp_path / "home" / "kits" / "rusty").sheet.rights.holder == "the toy makers"

    assert main([*arguments, *rights]) == 2
    assert "error: " in capsys.readouterr().err


def test_the_published_characters_beside_this_checkout_pass_too(tmp_path: Path) -> None:
    """Without the sample there is nothing to import here; the folder above has the same layout and faults."""
    for source in sorted(SAMPLE.glob("*")):
        target = tmp_path / source.name.rpartition("-")[2].lower()
        counts = import_rolescape(source, target, category="animal", basis="licensed", holder="x")
        assert (counts["pictures"], counts["dialogues"]) == (15, 180)
        assert counts["facts"] >= 60 and counts["held out"] in (3, 5)
        assert inspect(target, KitConfig()).passed
        assert load_kit(target).sheet.persona.speech_habits
