import json
import unicodedata
from pathlib import Path

import pytest
from factories_kit import make_kit

from unichar.kit.schema import UnreadableKit, check_key, load_kit, read_kit


def problems_of(folder: Path, file: str) -> str:
    return "\n".join(problem.text for problem in read_kit(folder)[1] if problem.file == file)


def test_a_good_kit_is_read_whole(tmp_path: Path) -> None:
    kit = load_kit(make_kit(tmp_path))
    assert kit.sheet.persona.traits == ["cheerful", "busy", "honest"]
    assert len(kit.images) == len(kit.scenes) == 10
    assert kit.scenes["scenes.jsonl line 9"].held_out
    assert kit.dialogues["dialogues.jsonl line 1"].user == "Has my letter come?"
    assert kit.profile.startswith("# Pip")


def test_dialogues_may_be_left_out(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    (folder / "dialogues.jsonl").unlink()
    assert load_kit(folder).dialogues == {}


@pytest.mark.parametrize("key", ["mochi", "m", "a-1", "0", "x" * 48])
def test_valid_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "Mochi", "-a", "a_b", "a,b", "a/b", "../esc", "a...b", "a b", "é", "a\n", "x" * 49]
)
def test_invalid_keys_are_refused_with_the_rule(key: str) -> None:
    with pytest.raises(ValueError, match="a-z, 0-9"):
        check_key(key)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nmae: Pip", "unknown key nmae; did you mean name?"),
        ("persona: {traitz: [a]}", "traitz; did you mean traits?"),
        ("zzz: 1", "known are id, name"),
        ("name: 7", "name must be a text, not the number 7; put it in quotes"),
        ("name: yes", "not true; put it in quotes"),
        (
            "facts: [{question: When, answer: 2020-01-01}]",
            "facts, entry 1, answer must be a text, not the date 2020-01-01",
        ),
        ("persona: {likes: tea}", "persona, likes must be a list, not the text 'tea'"),
        ("rights: mine", "must be `key: value` pairs"),
        ("name: a\nname: b", "the key name stands there twice"),
        ("name: [", "no valid YAML: line 1"),
        ("name: !!python/object/apply:os.getcwd []", "no valid YAML"),
        ("name: 2024-02-31", "no valid YAML"),
        ("[" * 3000, "no valid YAML"),
        ("- a", "must hold `key: value` pairs, not a list"),
        ("", "must hold `key: value` pairs, not nothing"),
        ('name: "\\ud800"', "half of a character"),
    ],
)
def test_what_is_wrong_in_the_sheet_is_said(tmp_path: Path, text: str, says: str) -> None:
    folder = make_kit(tmp_path)
    (folder / "kit.yaml").write_text(text)
    assert says in problems_of(folder, "kit.yaml")


def test_a_few_lines_that_unfold_to_billions_are_harmless(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    (folder / "kit.yaml").write_text("\n".join(["l0: &l0 [a]", *levels]))
    assert "unknown key l0" in problems_of(folder, "kit.yaml")


def test_blank_keys_count_as_left_out(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    (folder / "kit.yaml").write_text("id: pip\nopening:\nfacts:\n")
    assert load_kit(folder).sheet.facts == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nope", "line 2: is no valid JSON"),
        ("[1]", "line 2: must hold"),
        ('{"image": "a.png", "usr": "hi"}', "line 2: unknown key usr; did you mean user?"),
        ('{"image": 3}', "line 2: image must be a text, not the number 3"),
        ('{"held_out": "yes"}', "line 2: held_out must be true or false"),
        ('{"user": "\\ud800"}', "half of a character"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    folder = make_kit(tmp_path)
    (folder / "scenes.jsonl").write_text("\n" + line + "\n")
    assert says in problems_of(folder, "scenes.jsonl")


def test_line_separators_inside_a_text_do_not_end_the_line(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    (folder / "dialogues.jsonl").write_text(
        json.dumps({"user": "a\u2028b\x85c", "reply": "d"}, ensure_ascii=False) + "\r\n"
    )
    assert load_kit(folder).dialogues["dialogues.jsonl line 1"].user == "a\u2028b\x85c"


def test_all_reasons_come_in_one_message(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    (folder / "kit.yaml").unlink()
    (folder / "profile.md").write_bytes(b"\xff")
    (folder / "dialogues.jsonl").rename(folder / "dialogue.jsonl")
    with pytest.raises(UnreadableKit) as caught:
        load_kit(folder)
    for part in ("kit.yaml: is missing", "profile.md: is not UTF-8", "rename it to dialogues.jsonl"):
        assert part in str(caught.value)


def test_names_are_the_same_however_a_system_writes_accents(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    name = "café.png"
    (folder / "images" / "00.png").rename(folder / "images" / unicodedata.normalize("NFD", name))
    (folder / "scenes.jsonl").write_text(json.dumps({"image": f"images/{name}"}))
    kit = load_kit(folder)
    assert kit.scenes["scenes.jsonl line 1"].picture in kit.images


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    for name in ("kit.yaml", "scenes.jsonl"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert load_kit(folder).sheet.id == "pip"
