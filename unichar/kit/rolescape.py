"""Import one character of RoleScape-20, the data set of the paper, as a kit.

    python -m unichar import-rolescape train/Bo --id bo --category animal --rights-basis licensed \\
        --rights-holder "..."

Reads the character's `train` folder and, beside it, its `test` folder, whose pictures become the held-out
ones. The import grants no right to use the data: the user states on what basis it is used.

The following is cleaned, counted and printed:
- repeated questions; a question that asks for a known answer in other words is kept as `paraphrase`, so
  that tests do
  not ask what training has told
- dialogues that repeat an annotated scene or another dialogue, or whose user text belongs to a held-out scene
- curly quotes, repeated spaces, evidence given as a list or with markdown. Image numbers of dialogues refer
  to nothing
  and are ignored.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from unichar.errors import UserError
from unichar.kit.folders import new_folder
from unichar.kit.rolescape_persona import clean, read_persona
from unichar.kit.schema import check_key
from unichar.kit.wording import bare
from unichar.store.files import write_atomic

Row = dict[str, Any]


class ImportRefused(UserError):
    """A folder cannot be imported; nothing was written."""


def import_rolescape(
    source: Path, target: Path, *, category: str, basis: str, holder: str, consent: str = "", note: str = ""
) -> dict[str, int]:
    """Write the kit folder `target`, whose name becomes the character's id, and return the counts to print.

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
        UserError: The name of `target` is no valid id.
    """
    # Refuse before reading: the target decides the id.
    check_key(target.name)
    if target.exists():
        raise ImportRefused(f"{target} exists already; remove it, or import under another id")

    # Read and clean everything first, so that nothing is written when a file is missing.
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

    # Write all files of the kit; the folder appears complete or not at all.
    with new_folder(target) as part:
        # Pictures first: their copied names become part of the scene lines.
        (part / "images").mkdir()
        rows = [_copy_picture(row, number, part) for number, row in enumerate(scenes)]
        dumped = yaml.safe_dump(sheet, allow_unicode=True, sort_keys=False, width=120)
        write_atomic(part / "kit.yaml", dumped.encode())

        # The profile is kept whole: facts quote it as evidence.
        write_atomic(part / "profile.md", (train.text("full_profile.txt").strip() + "\n").encode())
        write_atomic(part / "scenes.jsonl", _lines(rows))
        write_atomic(part / "dialogues.jsonl", _lines(dialogues))

    counts |= {"pictures": len(rows), "held out": sum(row["held_out"] for row in rows)}
    return counts


class _Source:
    """One folder of the data set. Its files begin with the part of the folder's name behind the last '-'."""

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
        """The annotated scenes; the entry `source` is the path of the picture."""
        # The captions stand in a file of their own, keyed by the picture's number.
        instructions = self.json("t2i_instruction.json")["t2i_instructions"]
        captions = {str(row["image_id"]): clean(row["t2i_instruction"]) for row in instructions}
        rows = []
        for user, machine in self.json("with_image.json")["scenes"]:
            # The number names the picture's file and its caption.
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
    """The content of kit.yaml without the rights."""
    # The persona is read out of free text by rules (`rolescape_persona.py`).
    with_image = source.json("with_image.json")
    description = clean(with_image["description"])
    simplified = source.text("personality_simplified_profile.txt")
    persona = read_persona(simplified, source.text("full_profile.txt"), description)

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
    # The same question occurs in several spellings, so `bare` texts are compared.
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

        # Only the first further wording is kept.
        fact = facts.setdefault((bare(row["answer"]), bare(row["evidence"])), row)
        if fact is not row:
            counts["questions in other words"] += 1
            fact.setdefault("paraphrase", row["question"])

    counts["facts"] = len(facts)
    return list(facts.values())


def _joined(value: str | list[str]) -> str:
    """A text, or a list of texts as one, without markdown."""
    text = " ".join(value) if isinstance(value, list) else str(value)
    return clean(text.replace("*", ""))


def _dialogues(source: _Source, scenes: list[Row], counts: dict[str, int]) -> list[Row]:
    """The extension dialogues that are neither a scene nor a repetition.

    A user text with several different replies is kept: people say one thing twice, and the answer may differ.
    """
    # What dialogues are compared with: whole exchanges, and the user texts of the test.
    scenes_said = {(bare(row["user"]), bare(row["reply"])) for row in scenes}
    kept_for_tests = {bare(row["user"]) for row in scenes if row["held_out"]}
    counts |= {
        "dialogues": 0,
        "dialogues that are scenes": 0,
        "dialogues repeated": 0,
        "dialogues too near a test": 0,
    }

    # Decide on each dialogue in file order; the first of several equal ones is kept.
    seen: set[tuple[str, str]] = set()
    rows = []
    for user, machine in source.json("dialogue_text_extension_train.json")["scenes"]:
        row = {"user": clean(user["text"]), "reply": clean(machine["text"])}
        said = (bare(row["user"]), bare(row["reply"]))

        # Each dialogue counts for the first reason that applies.
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


def _copy_picture(row: Row, number: int, folder: Path) -> Row:
    """Copy a picture under a name with the right suffix: some of the data set's .png files are JPEGs."""
    # The source path is for this step only and is no key of scenes.jsonl.
    source: Path = row.pop("source")

    # The format is read from the content, and the bytes are copied as they are.
    try:
        with Image.open(source) as image:
            name = f"{number:02d}.{'jpg' if image.format == 'JPEG' else 'png'}"
        shutil.copyfile(source, folder / "images" / name)
    except OSError as error:
        raise ImportRefused(f"the picture {source} cannot be read: {error}") from error

    return {"image": name, **row}


def _lines(rows: list[Row]) -> bytes:
    # JSON Lines; letters beyond ASCII stay readable.
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
