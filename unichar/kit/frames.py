"""A kit as tables for the checks of `unichar.kit.suite`: one row for each thing that can be wrong.

Every table has a column `where`, which tells the author the location. A column named `..._problem` holds a
sentence, or None where there is no problem; it is for rules that no standard expectation states. The other
columns are plain facts about the kit.
"""

import difflib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from unichar.domains.toon.vocabulary import ATTRIBUTES, IDENTITY
from unichar.kit.config import KitConfig
from unichar.kit.schema import FILES, DialogueRow, Kit, Problem, SceneRow
from unichar.kit.split import PictureSplit, Scan, find_copies, scan_pictures, split_pictures
from unichar.kit.wording import bare

if TYPE_CHECKING:
    import pandas as pd

Table = list[dict[str, Any]]


def make_frames(kit: Kit, problems: list[Problem], config: KitConfig) -> dict[str, "pd.DataFrame"]:
    """The tables `files`, `kit`, `texts`, `pictures`, `scenes` and `facts` of a kit."""
    # Takes half a second, which a command that only lists the checks does not need.
    import pandas as pd

    # Scan and split are shared by several tables, because unpacking the pictures takes longest.
    scans = scan_pictures(kit, config)
    split = split_pictures(kit, scans, config)
    tables = {
        "files": _files(problems),
        "kit": [_kit_row(kit, split)],
        "texts": _texts(kit, config),
        "pictures": _pictures(kit, scans),
        "scenes": _scenes(kit, split),
        "facts": _facts(kit),
    }
    return {name: pd.DataFrame(rows, columns=_COLUMNS[name]) for name, rows in tables.items()}


# Stated, because a table without rows has no columns of its own.
_COLUMNS = {
    "files": ["where", "problem"],
    "kit": [
        *("where", "id", "folder", "category", "basis", "holder", "consent"),
        *("num_pictures", "num_train", "num_held_out", "num_facts"),
    ],
    "texts": ["where", "text", "required", "length", "most"],
    "pictures": ["where", "problem", "short_side", "ratio", "same_as", "num_lines"],
    "scenes": [
        "where",
        "picture",
        "picture_problem",
        "attribute_problem",
        "identity_problem",
        "leak_problem",
    ],
    "facts": ["where", "missing", "question", "paraphrase_problem", "evidence_problem"],
}


def _files(problems: list[Problem]) -> Table:
    """A row for every problem, and one without a problem for every other file."""
    # A row without a problem says that the file was checked and is good.
    with_problem = {problem.file for problem in problems}
    rows: Table = [{"where": file, "problem": None} for file in FILES if file not in with_problem]
    return rows + [{"where": problem.file, "problem": problem.text} for problem in problems]


def _kit_row(kit: Kit, split: PictureSplit) -> dict[str, Any]:
    """The one row about the kit as a whole. `consent` is None where nobody has to agree."""
    sheet, rights = kit.sheet, kit.sheet.rights

    # People have to agree, whatever the basis is.
    asks_consent = rights.basis == "consent" or sheet.category == "human"

    return {
        "where": "kit",
        "id": sheet.id,
        "folder": kit.folder.absolute().name,
        "category": sheet.category,
        "basis": rights.basis,
        "holder": rights.holder,
        "consent": rights.consent if asks_consent else None,
        "num_pictures": len(split.rows),
        "num_train": len(split.rows) - len(split.held_out),
        "num_held_out": len(split.held_out),
        "num_facts": len(kit.sheet.facts),
    }


def _texts(kit: Kit, config: KitConfig) -> Table:
    """Every text a model reads, with the length it may have."""
    # In the order of the files, so that the author finds the offenders from top to bottom.
    sheet, persona, most = kit.sheet, kit.sheet.persona, config.max_message
    rows = [
        _text("kit.yaml: name", sheet.name, 60, required=True),
        _text("kit.yaml: description", sheet.description, config.max_description, required=True),
        _text("kit.yaml: opening", sheet.opening, most),
        _text("kit.yaml: persona: style", persona.style, most, required=True),
        _text("kit.yaml: persona: traits", "; ".join(persona.traits), config.max_description, required=True),
        # No prompt holds the profile; the bound only stops a file that is no profile.
        _text("profile.md", kit.profile, 100_000, required=True),
    ]

    # Each entry of a list on its own, so that the offender can be named.
    for name in ("speech_habits", "catchphrases", "likes", "dislikes"):
        for text in getattr(persona, name):
            rows.append(_text(f"kit.yaml: persona: {name}", text, most, required=True))

    # Not `required`: `facts_complete` reports missing parts of facts.
    for number, fact in enumerate(sheet.facts, 1):
        for name, text in fact.model_dump().items():
            rows.append(_text(f"kit.yaml: fact {number}: {name}", text, most))

    # Caption, instruction and thinking may be empty: curation composes them.
    for where, scene in kit.scenes.items():
        rows += _exchange(where, scene, most)
        for name in ("caption", "instruction"):
            rows.append(_text(f"{where}: {name}", getattr(scene, name), most))
        rows.append(_text(f"{where}: thinking", scene.thinking, config.max_thinking))

    for where, dialogue in kit.dialogues.items():
        rows += _exchange(where, dialogue, most)
    return rows


def _exchange(where: str, row: SceneRow | DialogueRow, most: int) -> Table:
    """Both sides of an exchange, which must not be empty."""
    return [
        _text(f"{where}: user", row.user, most, required=True),
        _text(f"{where}: reply", row.reply, most, required=True),
    ]


def _text(where: str, text: str, most: int, *, required: bool = False) -> dict[str, Any]:
    """One row of the table; `required` holds the text again if it must not be empty."""
    return {
        "where": where,
        "text": text,
        "required": text if required else None,
        "length": len(text),
        "most": most,
    }


def _pictures(kit: Kit, scans: tuple[Scan, ...]) -> Table:
    """One row a file of images/; size and copy are known only of files that can be used."""
    # All files, also those without a scene line: a copy is worth a warning in any case.
    copies = find_copies(list(scans))
    num_lines = Counter(row.picture for row in kit.scenes.values())

    rows = []
    for scan in scans:
        row: dict[str, Any] = {
            "where": f"images/{scan.name}",
            "problem": scan.problem or None,
            "num_lines": num_lines[scan.name],
        }

        # Columns left out become missing values, which the expectations skip.
        if not scan.problem:
            short, long = sorted((scan.width, scan.height))
            row |= {"short_side": short, "ratio": round(long / short, 2), "same_as": copies.get(scan.name)}
        rows.append(row)
    return rows


def _scenes(kit: Kit, split: PictureSplit) -> Table:
    """One row a line of scenes.jsonl."""
    # Attributes are for all lines or for none, so one line with attributes makes them required.
    usual = _usual_identity(kit)
    with_attributes = any(scene.attributes for scene in kit.scenes.values())

    # User text of the training data -> its location.
    said = {bare(row.user): where for where, row in kit.dialogues.items()}
    for where, scene in kit.scenes.items():
        if scene.picture not in split.held_out:
            said[bare(scene.user)] = where

    # Only held-out lines can leak: a text that training repeats would test memory.
    rows = []
    for where, scene in kit.scenes.items():
        row = {
            "where": where,
            "picture": scene.image,
            "picture_problem": _picture_problem(kit, scene),
            "attribute_problem": _attribute_problem(scene.attributes) if with_attributes else None,
            "identity_problem": _identity_problem(scene.attributes, usual),
            "leak_problem": said.get(bare(scene.user)) if scene.picture in split.held_out else None,
        }
        rows.append(row)
    return rows


def _picture_problem(kit: Kit, scene: SceneRow) -> str | None:
    if scene.picture in kit.images:
        return None

    # 0.6 is the cut-off of difflib: a typing error is found, another name is not.
    meant = difflib.get_close_matches(scene.picture, kit.images, n=1, cutoff=0.6)
    advice = f"; did you mean {meant[0]}?" if meant else ""
    return f"names {scene.image or 'no picture'}, which is not in images/{advice}"


def _attribute_problem(given: dict[str, str]) -> str | None:
    """The first problem of a toon's attributes, or None. `skin` is required only where it can be seen:
    on humans."""
    for name, value in given.items():
        if name not in ATTRIBUTES:
            return f"unknown attribute {name}{_advice(name, tuple(ATTRIBUTES))}"
        if value not in ATTRIBUTES[name]:
            return f"{name} cannot be {value!r}{_advice(value, ATTRIBUTES[name])}"

    # Names and values are right; what remains is what was left out.
    shown = [name for name in ATTRIBUTES if name != "skin" or given.get("species") == "human"]
    missing = [name for name in shown if name not in given]
    return f"attributes are missing: {', '.join(missing)}" if missing else None


def _advice(word: str, known: tuple[str, ...]) -> str:
    meant = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {meant[0]}?" if meant else f"; known are {', '.join(known)}"


def _usual_identity(kit: Kit) -> dict[str, str]:
    """Attribute of the identity -> the value that most pictures have."""
    # The majority counts as the toon's identity, since no file states it.
    usual = {}
    for name in IDENTITY:
        values = Counter(scene.attributes[name] for scene in kit.scenes.values() if name in scene.attributes)
        if values:
            usual[name] = values.most_common(1)[0][0]
    return usual


def _identity_problem(given: dict[str, str], usual: dict[str, str]) -> str | None:
    """Where a picture's identity differs from that of most pictures, or None."""
    # A missing attribute is another check's business, hence the default.
    differences = []
    for name, value in usual.items():
        if given.get(name, value) != value:
            differences.append(f"{name} is {given[name]} here, {value} mostly")
    return "; ".join(differences) or None


def _facts(kit: Kit) -> Table:
    """One row a fact."""
    # Compared without case and punctuation, so that a quotation need not match to the letter.
    profile = bare(kit.profile)
    questions = {bare(fact.question): number for number, fact in enumerate(kit.sheet.facts, 1)}

    rows = []
    for number, fact in enumerate(kit.sheet.facts, 1):
        missing = [name for name in ("question", "answer", "evidence") if not getattr(fact, name)]
        same = questions.get(bare(fact.paraphrase)) if fact.paraphrase else None

        # A quotation may leave parts out: "Pip ... is afraid of herons".
        quoted = all(bare(part) in profile for part in re.split(r"\.\.\.|…", fact.evidence))

        row = {
            "where": f"fact {number} of kit.yaml",
            "missing": ", ".join(missing) or None,
            "question": bare(fact.question) or None,
            "paraphrase_problem": f"paraphrase is the question of fact {same}" if same else None,
            "evidence_problem": None if quoted else f"not in profile.md: {fact.evidence}",
        }
        rows.append(row)
    return rows
