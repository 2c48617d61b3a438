"""Styles of drawn figures: DiceBear's definitions (package `dicebear-styles`), and what their variants show
in words (`styles.yaml` beside this module).

    load_styles()["lorelei"].look     # ("ink drawing", "black ink portrait")

The definitions are by named designers under CC0 1.0, CC BY 4.0 or "free for personal and commercial use"
(docs/licences.md). Five styles are held out from every phase of the base, so that a style nobody has seen can
be measured; so is one identity in twenty of the others.
"""

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from unichar.errors import MissingFile

HELD_OUT = ("adventurer", "micah", "toon-head", "critters", "open-peeps")
"""Styles that no phase of the base may see."""
_FRAMES = ("bust", "head", "body", "full")


@dataclass(frozen=True, kw_only=True)
class FigureStyle:
    """A style with the words for its variants."""

    name: str
    definition: dict[str, Any]
    """The style's definition, as `dicebear.Style` takes it."""
    look: tuple[str, ...]
    """What captions call the style."""
    kind: str
    """What its figures are: person, robot, creature, plant or face."""
    frame: str
    """`bust`, `head`, `body` or `full`: where a figure may stand in a picture."""
    face: dict[str, dict[str, str]]
    """Components of the expression: component -> variant -> label (`eyes`, `mouth`, `brows` or `whole`)."""
    roles: dict[str, str]
    """Component of the expression -> `eyes`, `mouth`, `brows` or `whole`."""
    parts: dict[str, dict[str, str]]
    """Components of the identity: component -> variant -> phrase, empty where nothing is said."""
    colors: dict[str, tuple[str, str]]
    """Colour -> (palette, word that follows the colour's name; empty if it is not mentioned)."""

    @property
    def held_out(self) -> bool:
        """Whether no phase of the base may see it."""
        return self.name in HELD_OUT

    def probability(self, component: str) -> float:
        """How often a figure has the component, in [0, 1]."""
        return float(self.definition["components"][component].get("probability", 100)) / 100


@cache
def load_styles() -> dict[str, FigureStyle]:
    """All styles by name, held-out ones included.

    Raises:
        MissingFile: The packages of `requirements/base.txt` are not installed.
    """
    try:
        folder = files("dicebear_styles")
    except ModuleNotFoundError as error:
        raise MissingFile(
            "DiceBear's styles are missing; they are needed only to build a base or to draw test kits: "
            "pip install --no-deps -r requirements/base.txt"
        ) from error

    words = yaml.safe_load(files(__package__).joinpath("styles.yaml").read_text("utf-8"))
    found = {}
    for name, about in words.items():
        definition = json.loads(folder.joinpath(f"{name}.json").read_text("utf-8"))
        found[name] = _style(name, definition, about)
    return found


def training_styles() -> dict[str, FigureStyle]:
    """The styles that phases of the base may see."""
    return {name: style for name, style in load_styles().items() if not style.held_out}


def _style(name: str, definition: dict[str, Any], about: dict[str, Any]) -> FigureStyle:
    """A style's record; patterns become variants."""
    assert about["frame"] in _FRAMES, (name, about["frame"])
    assert about.get("held_out", False) == (name in HELD_OUT), name

    face, roles = {}, {}
    for role in ("eyes", "mouth", "brows", "whole"):
        for component, labels in about.get(role, {}).items():
            face[component] = _labelled(name, definition, component, labels)
            roles[component] = role

    # Whatever is neither the expression nor an animation belongs to the identity.
    parts = {}
    for component in definition["components"]:
        variants = definition["components"][component].get("variants", {})
        if variants and component not in face and component != "animation":
            phrases = about.get("parts", {}).get(component, {})
            parts[component] = _labelled(name, definition, component, phrases)

    colors = {color: (palette, word) for color, (palette, word) in about["colors"].items()}
    return FigureStyle(
        name=name,
        definition=definition,
        look=tuple(about["look"]),
        kind=about["kind"],
        frame=about["frame"],
        face=face,
        roles=roles,
        parts=parts,
        colors=colors,
    )


def _labelled(
    style: str, definition: dict[str, Any], component: str, labels: dict[str, list[str]]
) -> dict[str, str]:
    """Variant -> the first label with a pattern that fits; empty if none does."""
    variants = list(definition["components"][component]["variants"])
    found = dict.fromkeys(variants, "")

    for label, patterns in labels.items():
        for pattern in patterns:
            fitting = [variant for variant in variants if fnmatchcase(variant, pattern)]
            assert fitting, f"{style}.{component}: no variant fits {pattern}"
            for variant in fitting:
                found[variant] = found[variant] or label
    return found
