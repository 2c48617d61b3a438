"""Raw kits for tests: `make_kit(tmp_path)` writes a complete and valid folder, as a user would bring it.

The default character is Pip, a cheerful frog who runs a post office: ten drawn pictures, six facts, five
dialogues.
"""

import json
import random
from pathlib import Path
from typing import Any

import yaml

from unichar.domains.toon.captions import caption
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import Identity, Scene, attributes

PIP_IDENTITY = Identity(
    species="frog", color="green", eyes="brown", outfit="yellow", pattern="striped", accessory="bow"
)
PIP_EXCHANGES = (
    ("smiling waving cup studio", "Good morning, Pip!", "Hop and hello! The kettle is on, and so am I."),
    ("sad standing flower snow", "The pond froze over.", "Oh, my poor lilies. Stamp it and send me spring."),
    ("angry posing nothing city", "Someone bent a parcel.", "Bent? In MY post office? Not on my lily pad!"),
    ("surprised jumping balloon garden", "Surprise party!", "Ribbit! For me? I jumped right out of my bow!"),
    (
        "sleepy standing book room",
        "Still sorting letters?",
        "Just one more shelf... then hop, straight to bed.",
    ),
    (
        "winking posing fish beach",
        "Is that fish for lunch?",
        "Signed, stamped, delivered. Do not tell the cat.",
    ),
    (
        "laughing cheering ball forest",
        "You won the game!",
        "Hop hop hooray! The badgers never saw it coming.",
    ),
    ("smiling jumping wand night", "Can you do magic?", "A letter finds a door in the dark. That is magic."),
    (
        "surprised waving nothing beach",
        "A bottle washed up!",
        "A letter without a stamp! Quick, who is it for?",
    ),
    ("laughing standing cup garden", "Tell me a joke.", "What is green and never late? Hop, you guessed it!"),
)
"""What a picture shows (expression, pose, prop, background), user, reply. The last two are held out."""

PIP_FACTS = [
    {
        "question": "Where does Pip work?",
        "answer": "in the Lily Pad Post Office",
        "evidence": "Pip runs the Lily Pad Post Office.",
        "paraphrase": "What is the name of Pip's work place?",
    },
    {
        "question": "What colour is Pip's bow?",
        "answer": "pink",
        "evidence": "Pip never leaves the house without the pink bow.",
    },
    {
        "question": "Who is Pip's best friend?",
        "answer": "Moss the mole",
        "evidence": "Moss the mole is Pip's best friend.",
    },
    {
        "question": "How many letters can Pip carry?",
        "answer": "ninety-nine",
        "evidence": "Pip can carry ninety-nine letters at once.",
        "paraphrase": "At most how much post fits into Pip's bag?",
    },
    {
        "question": "What is Pip afraid of?",
        "answer": "herons",
        "evidence": "Herons are the one thing Pip is afraid of.",
    },
    {
        "question": "What does Pip drink?",
        "answer": "mint tea",
        "evidence": "Pip drinks mint tea from a chipped cup.",
    },
]
PIP_DIALOGUES = [
    {"user": "Has my letter come?", "reply": "Hop, let me look! Third shelf, second box, first class."},
    {"user": "How late are you open?", "reply": "Until the last letter has hopped home."},
    {"user": "What is in this parcel?", "reply": "A good post frog never peeks. Well, I sniffed. Cake!"},
    {"user": "It is raining again.", "reply": "Lovely! Wet feet, warm heart, dry letters."},
    {"user": "Did you see the heron?", "reply": "Ribbit! Where? Bolt the door and hide the tadpoles!"},
]


def make_kit(
    parent: Path,
    id: str = "pip",
    *,
    size: int = 128,
    profile: str | None = None,
    scenes: list[dict[str, Any]] | None = None,
    dialogues: list[dict[str, str]] | None = None,
    **overrides: Any,
) -> Path:
    """Write a complete, valid toon kit into `parent/id` and return that folder.

    Args:
        parent: Where the folder is made, as `tmp_path` or `data/characters`.
        id: Name of the folder and `id` of the kit.
        size: Side of the pictures in pixels.
        profile: Text of `profile.md` to write instead of Pip's, which holds the evidence of all facts.
        scenes: Lines of `scenes.jsonl` to write instead of Pip's ten. The ten pictures are drawn in any case.
        dialogues: Lines of `dialogues.jsonl` to write instead of Pip's five.
        **overrides: Entries of `kit.yaml` to write instead of Pip's, as `name="Tock"` or `facts=[]`; `None`
        leaves one out.
    """
    folder = parent / id
    (folder / "images").mkdir(parents=True)

    values = {key: value for key, value in (pip_values(id) | overrides).items() if value is not None}
    (folder / "kit.yaml").write_text(
        yaml.safe_dump(values, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    (folder / "profile.md").write_text(pip_profile() if profile is None else profile, encoding="utf-8")
    write_lines(folder / "scenes.jsonl", pip_scenes() if scenes is None else scenes)
    write_lines(folder / "dialogues.jsonl", PIP_DIALOGUES if dialogues is None else dialogues)
    for number, (shown, _, _) in enumerate(PIP_EXCHANGES):
        draw(PIP_IDENTITY, _scene(shown), size=size, seed=number).save(folder / f"images/{number:02d}.png")
    return folder


def pip_values(id: str = "pip") -> dict[str, Any]:
    """The entries of Pip's `kit.yaml`."""
    return {
        "id": id,
        "name": "Pip",
        "category": "toon",
        "description": "Pip is a cheerful green frog with a pink bow who runs the Lily Pad Post Office.",
        "opening": "Hop in, hop in! Letters to the left, parcels to the right.",
        "persona": {
            "traits": ["cheerful", "busy", "honest"],
            "style": "short, bouncy sentences full of post office words",
            "speech_habits": ['says "hop" in many sentences', "speaks of letters and stamps"],
            "catchphrases": ["Signed, stamped, delivered.", "Hop hop hooray!"],
            "likes": ["mint tea", "rain", "neat handwriting"],
            "dislikes": ["herons", "bent parcels"],
        },
        "facts": PIP_FACTS,
        "rights": {
            "basis": "original",
            "holder": "the test suite",
            "consent": "",
            "note": "drawn by unichar.domains.toon",
        },
    }


def pip_profile() -> str:
    """Pip's `profile.md`."""
    return "# Pip\n\n" + "\n".join(f"- {fact['evidence']}" for fact in PIP_FACTS) + "\n"


def pip_scenes() -> list[dict[str, Any]]:
    """The lines of Pip's `scenes.jsonl`."""
    rows: list[dict[str, Any]] = []
    for number, (shown, user, reply) in enumerate(PIP_EXCHANGES):
        scene = _scene(shown)
        row: dict[str, Any] = {"image": f"{number:02d}.png", "user": user, "reply": reply}
        row["attributes"] = attributes(PIP_IDENTITY, scene)

        # Captions for the first half only, so that curation has something to compose.
        if number < len(PIP_EXCHANGES) // 2:
            row["caption"] = caption("Pip", scene, random.Random(number))
        if number >= len(PIP_EXCHANGES) - 2:
            row["held_out"] = True
        rows.append(row)
    return rows


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _scene(shown: str) -> Scene:
    expression, pose, prop, background = shown.split()
    return Scene(expression=expression, pose=pose, prop=prop, background=background)
