"""Draws a kit in every held-out style: python tools/draw_kits.py OUT --art runs/base/art

Ten pictures to learn from and three held out, by fixed seeds, with the texts of tools/held_out_kits.yaml: for
tests and trials of characters in a hand that no base has seen. The art of tools/fetch_art.py is for places.
"""

import argparse
import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import yaml

from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.captions import scene_phrases
from unichar.pretrain.worlds.colors import shade
from unichar.pretrain.worlds.figures import Figure, expression, possible_moods, random_figure
from unichar.pretrain.worlds.styles import FigureStyle, load_styles
from unichar.pretrain.worlds.world import Scene, draw_scene

SIZE = 256
PLACES = ("", "beach", "", "forest", "", "kitchen", "", "night", "", "library", "", "snow", "market")
"""Place of each picture; empty for a wall."""
WALLS = (
    "light blue",
    "",
    "light pink",
    "",
    "light yellow",
    "",
    "light green",
    "",
    "violet",
    "",
    "gray",
    "",
    "",
)
"""Wall of each picture; empty in a place."""
HELD_OUT = (3, 8, 12)
"""Pictures for testing."""
ASKED = ("How is it there", "What do you see", "How do you feel", "What is it like", "Tell me how it is")


def main() -> None:
    """Draw all kits, or the named ones."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--art", type=Path, required=True, help="folder that tools/fetch_art.py filled")
    parser.add_argument("--only", nargs="*", default=[], help="ids; all if none is named")
    options = parser.parse_args()

    art = Art(options.art)
    for character in yaml.safe_load(Path(__file__).with_name("held_out_kits.yaml").read_text("utf-8")):
        if not options.only or character["id"] in options.only:
            draw_kit(character, options.out / character["id"], art)
            print(options.out / character["id"])


def draw_kit(character: dict[str, Any], folder: Path, art: Art) -> None:
    """Write the kit of a character of held_out_kits.yaml."""
    style = load_styles()[character["style"]]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    figure, rng = _figure(style, character), random.Random(f"kit/{character['id']}")

    lines = []
    moods = possible_moods(style)
    rng.shuffle(moods)
    for index, place in enumerate(PLACES):
        scene = Scene(
            place=place, wall=WALLS[index] or "any", position=("center", "left", "right")[index % 3]
        )
        face = expression(style, moods[index % len(moods)], rng)
        drawn = draw_scene(figure, face, scene, rng, SIZE, art)
        drawn.image.save(folder / "images" / f"{index:02d}.png")
        lines.append(_line(character, index, drawn.facts, rng))
    _write_lines(folder / "scenes.jsonl", lines)
    _write_lines(folder / "dialogues.jsonl", [{"user": a, "reply": b} for a, b in character["says"]])

    sentences = " ".join(evidence for _, _, evidence in character["facts"])
    (folder / "profile.md").write_text(f"# {character['name']}\n\n{character['description']} {sentences}\n")
    (folder / "kit.yaml").write_text(yaml.safe_dump(_sheet(character, style), sort_keys=False))


def _figure(style: FigureStyle, character: dict[str, Any]) -> Figure:
    """The character's figure: what the file names, the rest by a fixed seed."""
    named = dict(character["figure"])
    rng = random.Random(f"figure/{character['id']}")
    drawn = random_figure(style, rng)

    # Parts that are neither named nor part of every figure are left away.
    colors = {}
    for name, color in named.pop("colors").items():
        colors[name] = (color, shade(style.colors[name][0], color, rng))
    variants = {name: variant for name, variant in drawn.variants.items() if style.probability(name) == 1}
    return dataclasses.replace(drawn, variants=variants | named, colors=drawn.colors | colors)


def _line(character: dict[str, Any], index: int, facts: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A line of scenes.jsonl."""
    phrases = scene_phrases({**facts, "position": "center"}, rng)
    said = ", ".join(phrases)
    where = phrases[-1]
    return {
        "image": f"{index:02d}.png",
        "user": f"{ASKED[index % len(ASKED)]}, {where}, {character['name']}?",
        "reply": f"You find me {said}. {character['catchphrase']}",
        "caption": f"{character['name']}, {said}",
        "held_out": index in HELD_OUT,
    }


def _sheet(character: dict[str, Any], style: FigureStyle) -> dict[str, Any]:
    """The content of kit.yaml."""
    meta = style.definition["meta"]
    is_public = meta["license"]["name"] == "CC0 1.0"
    return {
        "id": character["id"],
        "name": character["name"],
        "category": character["category"],
        "description": character["description"],
        "persona": {
            "traits": character["traits"],
            "style": character["voice"],
            "speech_habits": [character["habit"]],
            "catchphrases": [character["catchphrase"]],
            "likes": character["likes"],
            "dislikes": character["dislikes"],
        },
        "facts": [{"question": q, "answer": a, "evidence": e} for q, a, e in character["facts"]],
        "rights": {
            "basis": "public-domain" if is_public else "licensed",
            "holder": f"{meta['creator']['name']} ({meta['source']['name']}, {meta['license']['name']})",
            "consent": "a drawn, made-up person",
            "note": meta["license"]["text"],
        },
    }


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
