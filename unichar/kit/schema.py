"""The format of a kit's files, and `load_kit(folder)`, which reads them all.

This module refuses only what cannot be read: broken YAML or JSON, unknown keys, a number instead of a text.
Whether the content is good enough is decided by the checks (`unichar.kit.validate`), so that an author gets
every reason at once; a missing text is therefore read as an empty one. The format is described in
`docs/kit.md`.
"""

import datetime
import difflib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from unichar.errors import UserError

KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
"""What an id must match: it is the partition key of a character and the name of its folder."""


def check_key(key: str) -> str:
    """Return the key if it may be the id of a character.

    Raises:
        UserError: It may not. Capitals, dots, commas, slashes and spaces break folder names and partition
            selections.
    """
    # fullmatch: `$` would accept a line break at the end.
    if not KEY.fullmatch(key):
        raise UserError(
            f"{key!r} cannot be a character's id: use 1 to 48 of a-z, 0-9 and '-', starting with a letter "
            "or digit"
        )
    return key


Row = TypeVar("Row", bound=BaseModel)


class _Sheet(BaseModel):
    # strict: 3 is no text and "yes" no boolean; a misspelt key is an error, not ignored.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: object) -> object:
        """Drop keys without a value: `opening:` is None in YAML and means the same as leaving the key out."""
        return (
            {key: value for key, value in values.items() if value is not None}
            if isinstance(values, dict)
            else values
        )


class PersonaSheet(_Sheet):
    """`persona` of kit.yaml."""

    traits: list[str] = []
    style: str = ""
    speech_habits: list[str] = []
    catchphrases: list[str] = []
    likes: list[str] = []
    dislikes: list[str] = []


class FactSheet(_Sheet):
    """One entry of `facts` in kit.yaml."""

    question: str = ""
    answer: str = ""
    evidence: str = ""
    paraphrase: str = ""


class RightsSheet(_Sheet):
    """`rights` of kit.yaml."""

    basis: str = ""
    holder: str = ""
    consent: str = ""
    note: str = ""


class KitSheet(_Sheet):
    """kit.yaml."""

    id: str = ""
    name: str = ""
    category: str = ""
    description: str = ""
    opening: str = ""
    persona: PersonaSheet = PersonaSheet()
    facts: list[FactSheet] = []
    rights: RightsSheet = RightsSheet()


class SceneRow(_Sheet):
    """One line of scenes.jsonl: the exchange that belongs to one picture, and what the picture shows."""

    image: str = ""
    user: str = ""
    reply: str = ""
    caption: str = ""
    thinking: str = ""
    instruction: str = ""
    attributes: dict[str, str] = {}
    held_out: bool = False

    @property
    def picture(self) -> str:
        """Name of the picture's file; both `03.png` and `images/03.png` are accepted."""
        return unicodedata.normalize("NFC", self.image.removeprefix("images/"))


class DialogueRow(_Sheet):
    """One line of dialogues.jsonl."""

    user: str = ""
    reply: str = ""


@dataclass(frozen=True, kw_only=True)
class Kit:
    """Everything in a kit folder, read but not checked.

    Example: `load_kit(Path("data/characters/mochi")).sheet.persona.traits`
    """

    folder: Path
    sheet: KitSheet
    profile: str
    """Text of profile.md."""
    scenes: dict[str, SceneRow]
    """Location, as `scenes.jsonl line 3` -> line."""
    dialogues: dict[str, DialogueRow]
    """Location -> line; empty without a dialogues.jsonl."""
    images: dict[str, Path]
    """Name in Unicode form NFC -> file of images/, sorted, without hidden files."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that cannot be read.

    Example: `Problem(file="kit.yaml", text="unknown key traitz; did you mean traits?")`
    """

    file: str
    """kit.yaml, profile.md, scenes.jsonl, dialogues.jsonl or images."""
    text: str


class UnreadableKit(UserError):
    """A kit cannot be read; the message names every reason."""


# Files of a kit, in the order of the report.
FILES = ("kit.yaml", "profile.md", "scenes.jsonl", "dialogues.jsonl", "images")


def load_kit(folder: Path) -> Kit:
    """Read a kit folder.

    Raises:
        UnreadableKit: A file is missing, broken, or has unknown keys or values of the wrong kind.
    """
    # All reasons in one message: an author should not mend them one by one.
    kit, problems = read_kit(folder)

    if problems:
        reasons = "\n".join(f"- {problem.file}: {problem.text}" for problem in problems)
        raise UnreadableKit(f"the kit in {folder} cannot be read:\n{reasons}")
    return kit


def read_kit(folder: Path) -> tuple[Kit, list[Problem]]:
    """What can be read of a kit folder, and why the rest cannot. A file with a problem counts as empty."""
    # Every reader appends to one list and goes on, so that all reasons are found.
    problems = _misnamed(folder)
    sheet = _read_sheet(folder / "kit.yaml", problems)
    profile = _read_text(folder / "profile.md", problems) or ""
    scenes = _read_lines(folder / "scenes.jsonl", SceneRow, problems)

    # A kit without further exchanges is complete.
    has_dialogues = (folder / "dialogues.jsonl").exists()
    dialogues = _read_lines(folder / "dialogues.jsonl", DialogueRow, problems) if has_dialogues else {}

    # An empty mapping stands for the missing folder.
    if not (folder / "images").is_dir():
        problems.append(Problem(file="images", text="there is no folder images with the reference pictures"))

    kit = Kit(
        folder=folder,
        sheet=sheet,
        profile=profile.strip(),
        scenes=scenes,
        dialogues=dialogues,
        images=_images(folder),
    )
    return kit, problems


def _misnamed(folder: Path) -> list[Problem]:
    """Files whose names are nearly right, as `dialogue.jsonl`; they would be ignored silently otherwise."""
    if not folder.is_dir():
        return []

    # Hidden files are no part of a kit.
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    problems = []
    for name in sorted(set(names) - set(FILES)):
        # Only names still missing: a file beside the right one is a note of the author.
        meant = difflib.get_close_matches(name, set(FILES) - set(names), n=1, cutoff=0.75)
        if meant:
            problems.append(Problem(file=meant[0], text=f"is called {name} here; rename it to {meant[0]}"))
    return problems


def _images(folder: Path) -> dict[str, Path]:
    if not (folder / "images").is_dir():
        return {}

    # Sorted by name, because the order in which a file system lists files differs between machines.
    # NFC, because macOS may store names in another form than scenes.jsonl has.
    paths = (path for path in (folder / "images").iterdir() if not path.name.startswith("."))
    return dict(sorted((unicodedata.normalize("NFC", path.name), path) for path in paths))


def _read_text(path: Path, problems: list[Problem]) -> str | None:
    """The text of a file, or None and a problem."""
    # utf-8-sig drops the byte order mark (BOM) that some Windows editors write.
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(
            Problem(file=path.name, text=f"is not UTF-8 text (byte {error.start + 1}); save it as UTF-8")
        )
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        problems.append(
            Problem(file=path.name, text="is missing" if missing else f"cannot be read: {error.strerror}")
        )
    return None


def _read_sheet(path: Path, problems: list[Problem]) -> KitSheet:
    text = _read_text(path, problems)
    if text is None:
        return KitSheet()

    try:
        # RecursionError: nested a thousand deep. ValueError: a date that does not exist, as 2024-02-31.
        raw = yaml.safe_load(text)
        doubles = _repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problems.append(Problem(file=path.name, text=f"is no valid YAML: {_yaml_reason(error)}"))
        return KitSheet()

    # A repeated key does not hinder reading the rest.
    problems += [Problem(file=path.name, text=double) for double in doubles]
    sheet = _parse(KitSheet, raw, path.name, "", problems)
    return KitSheet() if sheet is None else sheet


def _yaml_reason(error: Exception) -> str:
    # Most errors of the parser know their line; the others get their first line only.
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _repeated_keys(root: yaml.Node | None) -> list[str]:
    """A message for every repeated key: YAML keeps only the last one, so the first list would be lost."""
    # A stack instead of recursion: a file nested a thousand deep would exhaust Python's.
    found: list[str] = []
    waiting: list[yaml.Node | None] = [root]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, yaml.MappingNode | yaml.SequenceNode) or id(node) in seen:
            continue

        # Aliases can make a few lines stand for billions of nodes, so each node is visited once.
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue

        # PyYAML keeps repeated keys in the node tree, and drops them only when it builds the dict.
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        found += [
            f"the key {key} stands there twice (from line {node.start_mark.line + 1} on); join the two"
            for key in twice
        ]
        waiting += [value for _, value in node.value]

    return found


def _read_lines(path: Path, model: type[Row], problems: list[Problem]) -> dict[str, Row]:
    """Location -> row of a JSONL file; blank lines are skipped."""
    rows: dict[str, Row] = {}
    text = _read_text(path, problems)

    # Not splitlines(): that also splits at line separators inside a JSON string.
    for number, line in enumerate((text or "").split("\n"), 1):
        if not line.strip():
            continue

        # A broken line is reported with its number; the other lines are still read.
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(file=path.name, text=f"line {number}: is no valid JSON: {error}"))
            continue

        row = _parse(model, raw, path.name, f"line {number}: ", problems)
        if row is not None:
            rows[f"{path.name} line {number}"] = row
    return rows


def _parse(model: type[Row], raw: object, file: str, prefix: str, problems: list[Problem]) -> Row | None:
    """A row as its model, or None and a problem for each thing that is wrong with it."""
    if not isinstance(raw, dict):
        problems.append(Problem(file=file, text=f"{prefix}must hold `key: value` pairs, not {_kind(raw)}"))
        return None

    # Values of wrong types and unknown keys: pydantic finds all of them at once.
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        found = [f"{prefix}{_reason(model, detail)}" for detail in error.errors(include_url=False)]
        problems += [Problem(file=file, text=text) for text in found]
    return None


def _reason(model: type[BaseModel], detail: ErrorDetails) -> str:
    """One validation error as a sentence, with its location as `facts, entry 3, answer`."""
    # Entries are counted from one, as their author counts.
    place = ", ".join(f"entry {part + 1}" if isinstance(part, int) else part for part in detail["loc"])
    value = detail["input"]

    # pydantic's kinds of errors that authors meet, in words that need no knowledge of it.
    if detail["type"] == "extra_forbidden":
        allowed = list(_owner(model, detail["loc"]).model_fields)
        meant = difflib.get_close_matches(str(detail["loc"][-1]), allowed, n=1, cutoff=0.6)
        advice = f"did you mean {meant[0]}?" if meant else f"known are {', '.join(allowed)}"
        return f"unknown key {place}; {advice}"
    if detail["type"] == "string_type":
        # YAML reads 2024-01-01, 42 and yes as date, number and boolean.
        quoted = "; put it in quotes" if isinstance(value, bool | int | float | datetime.date) else ""
        return f"{place} must be a text, not {_kind(value)}{quoted}"
    if detail["type"] == "string_unicode":
        return f"{place} holds half of a character (a lone \\ud800 to \\udfff); write it anew"
    if detail["type"] == "bool_type":
        return f"{place} must be true or false, not {_kind(value)}"
    if detail["type"] in ("list_type", "model_type", "dict_type"):
        expected = "a list" if detail["type"] == "list_type" else "`key: value` pairs"
        return f"{place} must be {expected}, not {_kind(value)}"
    return f"{place}: {detail['msg']}"


def _owner(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that an unknown key was given to."""
    # The sheets inside kit.yaml; one level deep is as deep as they go.
    inner: dict[int | str, type[BaseModel]] = {
        "persona": PersonaSheet,
        "facts": FactSheet,
        "rights": RightsSheet,
    }
    return inner[loc[0]] if len(loc) > 1 else model


def _kind(value: object) -> str:
    """A value in a few words; never its whole text, which may be huge."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}"

    # Before the numbers, because True is an int in Python.
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | datetime.date):
        return f"the {'date' if isinstance(value, datetime.date) else 'number'} {value}"

    names = {list: "a list", dict: "`key: value` pairs", type(None): "nothing"}
    return names.get(type(value), f"a {type(value).__name__}")
