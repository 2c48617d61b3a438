"""A kit as tables, one row a thing that can be wrong, for the checks of `unichar.kit.suite`.

Every table has a column `where` that tells the author the place. A column named `..._problem` holds a sentence, or nothing when
all is well: for rules that no standard expectation says. The others are plain facts about the kit.
"""

import difflib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from unichar.domains.toon.vocabulary import ATTRIBUTES, IDENTITY
from unichar.kit.config import KitConfig
from unichar.kit.schema import FILES, Kit, Problem, SceneRow
from unichar.kit.split import Plan, Scan, find_copies, plan_pictures, scan_pictures
from unichar.kit.wording import bare

if TYPE_CHECKING:
    import pandas as pd

Table = list[dict[str, Any]]


def make_frames(kit: Kit, problems: list[Problem], config: KitConfig) -> dict[str, "pd.DataFrame"]:
    """The tables `files`, `kit`, `texts`, `pictures`, `scenes` and `facts` of a kit."""
    import pandas as pd  # half a second; whoever only lists the checks need not wait

    scans = scan_pictures(kit, config)
    plan = plan_pictures(kit, scans, config)
    tables = {
        "files": [
            {"where": file, "problem": None}
            for file in FILES
            if file not in {problem.file for problem in problems}
        ]
        + [{"where": problem.file, "problem": problem.text} for problem in problems],
        "kit": [_kit_row(kit, plan)],
        "texts": _texts(kit, config),
        "pictures": _pictures(kit, scans),
        "scenes": _scenes(kit, plan),
        "facts": _facts(kit),
    }
    return {name: pd.DataFrame(rows, columns=_COLUMNS[name]) for name, rows in tables.items()}


_COLUMNS = {  # stated, because a table without rows has none of its own
    "files": ["where", "problem"],
    "kit": [
        *("where", "id", "folder", "category", "basis", "holder", "consent"),
        *("num_pictures", "num_train", "num_held_out", "num_facts"),
    ],
    "texts": ["where", "text", "required", "length", "most"],
    "pictures": ["where", "problem", "short_side", "ratio", "same_as", "num_lines"],
    "scenes": ["where", "picture", "picture_problem", "attribute_problem", "look_problem", "leak_problem"],
    "facts": ["where", "missing", "question", "paraphrase_problem", "evidence_problem"],
}


def _kit_row(kit: Kit, plan: Plan) -> dict[str, Any]:
    sheet, rights = kit.sheet, kit.sheet.rights
    asks_consent = rights.basis == "consent" or sheet.category == "human"
    return {
        "where": "kit",
        "id": sheet.id,
        "folder": kit.folder.absolute().name,
        "category": sheet.category,
        "basis": rights.basis,
        "holder": rights.holder,
        "consent": rights.consent if asks_consent else None,
        "num_pictures": len(plan.rows),
        "num_train": len(plan.rows) - len(plan.held_out),
        "num_held_out": len(plan.held_out),
        "num_facts": len(kit.sheet.facts),
    }


def _texts(kit: Kit, config: KitConfig) -> Table:
    """Every text a model reads, with the length it may have."""
    sheet, persona, most = kit.sheet, kit.sheet.persona, config.max_message
    rows = [
        _text("kit.yaml: name", sheet.name, 60, required=True),
        _text("kit.yaml: description", sheet.description, config.max_description, required=True),
        _text("kit.yaml: opening", sheet.opening, most),
        _text("kit.yaml: persona: style", persona.style, most, required=True),
        _text("kit.yaml: persona: traits", "; ".join(persona.traits), config.max_description, required=True),
        _text("profile.md", kit.profile, 100_000, required=True),
    ]
    for name in ("speech_habits", "catchphrases", "likes", "dislikes"):
        rows += [
            _text(f"kit.yaml: persona: {name}", text, most, required=True) for text in getattr(persona, name)
        ]
    for number, fact in enumerate(sheet.facts, 1):
        rows += [
            _text(f"kit.yaml: fact {number}: {name}", text, most) for name, text in fact.model_dump().items()
        ]
    for where, scene in kit.scenes.items():
        rows += [
            _text(f"{where}: {name}", getattr(scene, name), most, required=True) for name in ("user", "reply")
        ]
        rows += [_text(f"{where}: {name}", getattr(scene, name), most) for name in ("caption", "instruction")]
        rows.append(_text(f"{where}: thinking", scene.thinking, config.max_thinking))
    for where, row in kit.dialogues.items():
        rows += [
            _text(f"{where}: {name}", getattr(row, name), most, required=True) for name in ("user", "reply")
        ]
    return rows


def _text(where: str, text: str, most: int, *, required: bool = False) -> dict[str, Any]:
    return {
        "where": where,
        "text": text,
        "required": text if required else None,
        "length": len(text),
        "most": most,
    }


def _pictures(kit: Kit, scans: tuple[Scan, ...]) -> Table:
    copies = find_copies(list(scans))
    num_lines = Counter(row.picture for row in kit.scenes.values())
    rows = []
    for scan in scans:
        row: dict[str, Any] = {
            "where": f"images/{scan.name}",
            "problem": scan.problem or None,
            "num_lines": num_lines[scan.name],
        }
        if not scan.problem:
            short, long = sorted((scan.width, scan.height))
            row |= {"short_side": short, "ratio": round(long / short, 2), "same_as": copies.get(scan.name)}
        rows.append(row)
    return rows


def _scenes(kit: Kit, plan: Plan) -> Table:
    usual = _usual_look(kit)
    with_attributes = any(scene.attributes for scene in kit.scenes.values())
    said = {bare(row.user): where for where, row in kit.dialogues.items()}
    said |= {bare(row.user): where for where, row in kit.scenes.items() if row.picture not in plan.held_out}
    return [
        {
            "where": where,
            "picture": scene.image,
            "picture_problem": _picture_problem(kit, scene),
            "attribute_problem": _attribute_problem(scene.attributes) if with_attributes else None,
            "look_problem": _look_problem(scene.attributes, usual),
            "leak_problem": said.get(bare(scene.user)) if scene.picture in plan.held_out else None,
        }
        for where, scene in kit.scenes.items()
    ]


def _picture_problem(kit: Kit, scene: SceneRow) -> str | None:
    if scene.picture in kit.images:
        return None
    meant = difflib.get_close_matches(scene.picture, kit.images, n=1, cutoff=0.6)
    return f"names {scene.image or 'no picture'}, which is not in images/" + (
        f"; did you mean {meant[0]}?" if meant else ""
    )


def _attribute_problem(given: dict[str, str]) -> str | None:
    """The first thing wrong with a toon's attributes. `skin` is asked for where skin shows: on humans."""
    for name, value in given.items():
        if name not in ATTRIBUTES:
            return f"unknown attribute {name}{_advice(name, tuple(ATTRIBUTES))}"
        if value not in ATTRIBUTES[name]:
            return f"{name} cannot be {value!r}{_advice(value, ATTRIBUTES[name])}"
    shown = [name for name in ATTRIBUTES if name != "skin" or given.get("species") == "human"]
    missing = [name for name in shown if name not in given]
    return f"attributes are missing: {', '.join(missing)}" if missing else None


def _advice(word: str, known: tuple[str, ...]) -> str:
    meant = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {meant[0]}?" if meant else f"; known are {', '.join(known)}"


def _usual_look(kit: Kit) -> dict[str, str]:
    """Attribute of the identity -> the value most pictures have."""
    looks = [scene.attributes for scene in kit.scenes.values()]
    counts = {name: Counter(look[name] for look in looks if name in look) for name in IDENTITY}
    return {name: values.most_common(1)[0][0] for name, values in counts.items() if values}


def _look_problem(given: dict[str, str], usual: dict[str, str]) -> str | None:
    other = [
        f"{name} is {given[name]} here, {value} mostly"
        for name, value in usual.items()
        if given.get(name, value) != value
    ]
    return "; ".join(other) or None


def _facts(kit: Kit) -> Table:
    profile = bare(kit.profile)
    questions = {bare(fact.question): number for number, fact in enumerate(kit.sheet.facts, 1)}
    rows = []
    for number, fact in enumerate(kit.sheet.facts, 1):
        missing = [name for name in ("question", "answer", "evidence") if not getattr(fact, name)]
        same = questions.get(bare(fact.paraphrase))
        quoted = all(bare(part) in profile for part in re.split(r"\.\.\.|…", fact.evidence))
        rows.append(
            {
                "where": f"fact {number} of kit.yaml",
                "missing": ", ".join(missing) or None,
                "question": bare(fact.question) or None,
                "paraphrase_problem": f"paraphrase is the question of fact {same}"
                if fact.paraphrase and same
                else None,
                "evidence_problem": None if quoted else f"not in profile.md: {fact.evidence}",
            }
        )
    return rows
