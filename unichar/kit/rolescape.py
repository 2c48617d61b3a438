"""Import one character of RoleScape-20, the data set of the paper, as a kit.

    python -m unichar.kit.rolescape train/Bo data/characters/bo --category animal --basis licensed --holder
    "..."

Reads the character's `train` folder and, beside it, its `test` folder, whose pictures become the held-out
ones. Nothing here grants a right to use the data: whoever imports says on what basis they do.

What is cleaned on the way (counted and printed): repeated questions, answers asked in other words (kept as
`paraphrase`, so that tests do not ask what training has told), annotated scenes that the dialogues repeat,
dialogues whose user text a held-out scene has, curly quotes, stray spaces, evidence given as a list or with
markdown marks. The dialogues' image numbers point nowhere and are ignored.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from unichar.kit.checks import CATEGORIES, RIGHTS_BASES
from unichar.kit.folders import new_folder
from unichar.kit.rolescape_persona import clean, read_persona
from unichar.kit.schema import check_key
from unichar.kit.wording import bare
from unichar.store.files import write_atomic

Row = dict[str, Any]


class ImportRefused(ValueError):
    """A folder cannot be imported; nothing was written."""


def import_rolescape(
    source: Path, target: Path, *, category: str, basis: str, holder: str, consent: str = "", note: str = ""
) -> dict[str, int]:
    """Write the kit folder `target`, whose name becomes the character's id, and return the counts that are
    printed.

    Args:
        source: The character's folder inside `train`, as `.../train/Bo`; `.../test/Bo` is found from it.
        target: Must not exist.
        category: human, animal or toon.
        basis: On what right the data is used: original, licensed, public-domain or consent.
        holder: Who holds that right.
        consent: Who agreed to what; a kit of a human does not pass validation without it.
        note: Anything else worth keeping about the rights.

    Raises:
        ImportRefused: A file is missing or is not RoleScape's, or `target` exists.
        ValueError: The name of `target` is no valid id.
    """
    check_key(target.name)
    if target.exists():
        raise ImportRefused(f"{target} exists already; remove it, or import under another id")
    train, test = _Source(source), _Source(source.absolute().parent.parent / "test" / source.name)
    counts: dict[str, int] = {}
    try:
        scenes = train.scenes(held_out=False) + (test.scenes(held_out=True) if test.folder.is_dir() else [])
        sheet = _sheet(train, target.name, category, counts)
        dialogues = _dialogues(train, scenes, counts)
    except (KeyError, TypeError) as error:
        raise ImportRefused(
            f"the files in {source} are not laid out as in RoleScape-20: {error!r}"
        ) from error
    sheet["rights"] = {"basis": basis, "holder": holder, "consent": consent, "note": note}
    with new_folder(target) as part:
        (part / "images").mkdir()
        rows = [_place_picture(row, number, part) for number, row in enumerate(scenes)]
        dumped = yaml.safe_dump(sheet, allow_unicode=True, sort_keys=False, width=120)
        write_atomic(part / "kit.yaml", dumped.encode())
        write_atomic(part / "profile.md", (train.text("full_profile.txt").strip() + "\n").encode())
        write_atomic(part / "scenes.jsonl", _lines(rows))
        write_atomic(part / "dialogues.jsonl", _lines(dialogues))
    counts |= {"pictures": len(rows), "held out": sum(row["held_out"] for row in rows)}
    return counts


class _Source:
    """One folder of the data set; its files are named after the part of the folder's name behind the
    last '-'."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name.rpartition("-")[2]

    def text(self, ending: str) -> str:
        path = self.folder / f"{self.name}_{ending}"
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ImportRefused(
                f"{path} cannot be read ({error}); expected one character's folder of RoleScape-20"
            ) from error

    def json(self, ending: str) -> Row:
        try:
            return json.loads(self.text(ending))
        except ValueError as error:
            raise ImportRefused(
                f"{self.folder / f'{self.name}_{ending}'} is no valid JSON: {error}"
            ) from error

    def scenes(self, *, held_out: bool) -> list[Row]:
        """The annotated scenes; `source` is the picture's file."""
        instructions = self.json("t2i_instruction.json")["t2i_instructions"]
        captions = {str(row["image_id"]): clean(row["t2i_instruction"]) for row in instructions}
        rows = []
        for user, machine in self.json("with_image.json")["scenes"]:
            number = str(machine["image"])
            row = {
                "source": self.folder / f"{number}.png",
                "user": clean(user["text"]),
                "reply": clean(machine["text"]),
                "caption": captions.get(number, ""),
                "thinking": clean(machine["thinking_process"]),
                "instruction": clean(machine["generation_instruction"]),
                "held_out": held_out,
            }
            rows.append(row)
        return rows


def _sheet(source: _Source, key: str, category: str, counts: dict[str, int]) -> Row:
    with_image = source.json("with_image.json")
    description = clean(with_image["description"])
    persona = read_persona(
        source.text("personality_simplified_profile.txt"), source.text("full_profile.txt"), description
    )
    return {
        "id": key,
        "name": source.name,
        "category": category,
        "description": description,
        "opening": clean(with_image["opening"]),
        "persona": persona.model_dump(),
        "facts": _facts(source, counts),
    }


def _facts(source: _Source, counts: dict[str, int]) -> list[Row]:
    """Each fact once; a second wording of it is its paraphrase. Same answer on the same evidence is the
    same fact."""
    items = source.json("knowledge_qa.json")["qa_items"]
    rows = [{name: _joined(item[name]) for name in ("question", "answer", "evidence")} for item in items]
    facts: dict[tuple[str, str], Row] = {}
    asked: set[str] = set()
    counts |= {"questions": len(rows), "questions repeated": 0, "questions in other words": 0}
    for row in rows:
        if bare(row["question"]) in asked or not all(row.values()):
            counts["questions repeated"] += 1
            continue
        asked.add(bare(row["question"]))
        fact = facts.setdefault((bare(row["answer"]), bare(row["evidence"])), row)
        if fact is not row:
            counts["questions in other words"] += 1
            fact.setdefault("paraphrase", row["question"])
    counts["facts"] = len(facts)
    return list(facts.values())


def _joined(value: str | list[str]) -> str:
    return clean((" ".join(value) if isinstance(value, list) else str(value)).replace("*", ""))


def _dialogues(source: _Source, scenes: list[Row], counts: dict[str, int]) -> list[Row]:
    """The extension dialogues that are neither a scene nor a repetition. One user text with several replies
    stays: people say one thing twice, and the answer may differ."""
    scenes_said = {(bare(row["user"]), bare(row["reply"])) for row in scenes}
    kept_for_tests = {bare(row["user"]) for row in scenes if row["held_out"]}
    counts |= {
        "dialogues": 0,
        "dialogues that are scenes": 0,
        "dialogues repeated": 0,
        "dialogues too near a test": 0,
    }
    seen: set[tuple[str, str]] = set()
    rows = []
    for user, machine in source.json("dialogue_text_extension_train.json")["scenes"]:
        row = {"user": clean(user["text"]), "reply": clean(machine["text"])}
        said = (bare(row["user"]), bare(row["reply"]))
        if said in scenes_said:
            counts["dialogues that are scenes"] += 1
        elif said in seen:
            counts["dialogues repeated"] += 1
        elif said[0] in kept_for_tests:
            counts["dialogues too near a test"] += 1
        else:
            rows.append(row)
        seen.add(said)
    counts["dialogues"] = len(rows)
    return rows


def _place_picture(row: Row, number: int, folder: Path) -> Row:
    """Copy a picture under a name that tells what it is: some of the set's .png files are JPEGs."""
    source: Path = row.pop("source")
    try:
        with Image.open(source) as image:
            name = f"{number:02d}.{'jpg' if image.format == 'JPEG' else 'png'}"
        shutil.copyfile(source, folder / "images" / name)
    except OSError as error:
        raise ImportRefused(f"the picture {source} cannot be read: {error}") from error
    return {"image": name, **row}


def _lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main(arguments: list[str]) -> int:
    """The command: 0, or 2 with one clear message."""
    parser = argparse.ArgumentParser(
        prog="python -m unichar.kit.rolescape", description="Import a RoleScape-20 character."
    )
    parser.add_argument("source", type=Path, help="the character's folder inside train/")
    parser.add_argument("target", type=Path, help="the kit folder to write, as data/characters/bo")
    parser.add_argument("--category", required=True, choices=CATEGORIES)
    parser.add_argument("--basis", required=True, choices=RIGHTS_BASES, help="on what right you use the data")
    parser.add_argument("--holder", required=True, help="who holds that right")
    parser.add_argument("--consent", default="", help="who agreed to what; needed for people")
    parser.add_argument("--note", default="")
    options = vars(parser.parse_args(arguments))
    try:
        counts = import_rolescape(options.pop("source"), target := options.pop("target"), **options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{target}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
