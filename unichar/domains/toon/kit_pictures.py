"""Draws the pictures of a kit from the attributes in its `scenes.jsonl`; nothing of the paper corresponds to
it.

The starter cast is made this way: the text is written by hand, the pictures can be drawn again at any time,
to the last byte.

    python -m unichar.domains.toon.kit_pictures data/characters/mochi [more folders]
"""

import io
import json
import sys
import zlib
from pathlib import Path
from typing import Any

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import ATTRIBUTES, IDENTITY, SCENE, Identity, Scene
from unichar.store.files import write_atomic


def render_kit(folder: Path, size: int = 512) -> list[Path]:
    """Draw one picture a line of `folder/scenes.jsonl` into `folder/images/`, replacing what is there under
    the same names.

    A line's picture depends on its own `image` and `attributes` only, so other lines may come, go or change
    places.

    Args:
        folder: A kit folder.
        size: Side of the pictures in pixels.

    Returns:
        The pictures in the order of the lines.

    Raises:
        ValueError: There are no scenes, a line is not JSON or does not describe a toon, or two lines name the
            same picture. Nothing has been drawn then.
    """
    scenes = _read_scenes(folder / "scenes.jsonl")
    for name, (identity, scene, seed) in scenes.items():
        buffer = io.BytesIO()
        draw(identity, scene, size=size, seed=seed).save(buffer, format="PNG", optimize=True)
        write_atomic(folder / "images" / name, buffer.getvalue())
    return [folder / "images" / name for name in scenes]


def _read_scenes(path: Path) -> dict[str, tuple[Identity, Scene, int]]:
    """Name of the picture -> who, what and the seed that places the figure."""
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; expected one JSON object a line, each with 'image' and 'attributes'"
        )
    scenes: dict[str, tuple[Identity, Scene, int]] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not text.strip():
            continue
        try:
            name, drawing = _read_line(json.loads(text))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        if name in scenes:
            raise ValueError(
                f"{path}, line {number}: picture {name} is already drawn by an earlier line; give each its own name"
            )
        scenes[name] = drawing
    if not scenes:
        raise ValueError(f"{path} has no lines, so there is nothing to draw")
    return scenes


def _read_line(line: Any) -> tuple[str, tuple[Identity, Scene, int]]:
    if (
        not isinstance(line, dict)
        or not isinstance(line.get("image"), str)
        or not isinstance(line.get("attributes"), dict)
    ):
        raise ValueError("expected an object with a text 'image' and an object 'attributes'")
    name = Path(line["image"]).name
    if not name.endswith(".png"):
        raise ValueError(
            f"image {line['image']!r} is not a .png; drawn pictures are PNG files, as 'images/01.png'"
        )
    values: dict[str, str] = line["attributes"]
    optional = set() if values.get("species") == "human" else {"skin"}  # fur, scales and metal hide it
    wrong = sorted(set(values) - set(ATTRIBUTES)), sorted(set(ATTRIBUTES) - optional - set(values))
    if any(wrong):
        raise ValueError(
            f"unknown attributes: {', '.join(wrong[0]) or 'none'}; missing attributes: {', '.join(wrong[1]) or 'none'}"
        )
    identity = Identity(**{key: value for key, value in values.items() if key in IDENTITY})
    scene = Scene(**{key: value for key, value in values.items() if key in SCENE})
    return name, (identity, scene, zlib.crc32(json.dumps([name, values], sort_keys=True).encode()))


def main(folders: list[str]) -> None:
    """Draw the pictures of every named kit folder."""
    if not folders:
        sys.exit("usage: python -m unichar.domains.toon.kit_pictures KIT_FOLDER [KIT_FOLDER ...]")
    for folder in folders:
        try:
            pictures = render_kit(Path(folder))
        except ValueError as error:
            sys.exit(str(error))
        print(f"{folder}: {len(pictures)} pictures")


if __name__ == "__main__":
    main(sys.argv[1:])
