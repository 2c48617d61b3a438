"""Draws the pictures of a kit from the attributes in its `scenes.jsonl`. The paper has no counterpart.

The starter cast is made this way: the text is written by hand, the pictures can be rendered again at any
time, byte for byte.

    python -m unichar draw-toons ~/kits/mochi
"""

import io
import json
import zlib
from pathlib import Path
from typing import Any

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import ATTRIBUTES, IDENTITY, SCENE, Identity, Scene
from unichar.errors import UserError
from unichar.store.files import write_atomic


def render_kit(folder: Path, size: int = 512) -> list[Path]:
    """Render one picture per line of `folder/scenes.jsonl` into `folder/images/`; same names are replaced.

    A picture depends on the `image` and `attributes` of its own line only, so other lines may be added,
    removed or moved.

    Args:
        folder: A kit folder.
        size: Side of the pictures in pixels.

    Returns:
        The pictures in the order of the lines.

    Raises:
        UserError: There are no scenes, a line is not JSON or does not describe a toon, or two lines name the
            same picture. Nothing has been drawn then.
    """
    # All lines are read before anything is written, so that a bad line leaves the kit as it was.
    scenes = _read_scenes(folder / "scenes.jsonl")

    # PNG is lossless and written without a time stamp: equal scenes give equal files.
    for name, (identity, scene, seed) in scenes.items():
        buffer = io.BytesIO()
        draw(identity, scene, size=size, seed=seed).save(buffer, format="PNG", optimize=True)
        write_atomic(folder / "images" / name, buffer.getvalue())

    return [folder / "images" / name for name in scenes]


def _read_scenes(path: Path) -> dict[str, tuple[Identity, Scene, int]]:
    """Name of the picture -> who, what and the seed that places the figure."""
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; expected one JSON object per line, each with 'image' and 'attributes'"
        )

    # Line numbers from 1, as editors show them; blank lines are allowed.
    scenes: dict[str, tuple[Identity, Scene, int]] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not text.strip():
            continue

        # The message of a bad line gets its position here.
        try:
            name, drawing = _read_line(json.loads(text))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}") from error

        # Two lines would overwrite each other's picture.
        if name in scenes:
            raise UserError(
                f"{path}, line {number}: picture {name} is already drawn by an earlier line; "
                "give each its own name"
            )
        scenes[name] = drawing

    if not scenes:
        raise UserError(f"{path} has no lines, so there is nothing to draw")
    return scenes


def _read_line(line: Any) -> tuple[str, tuple[Identity, Scene, int]]:
    """Name of the picture, and who, what and the seed.

    Raises:
        UserError: The line does not describe a toon; the message does not say where.
    """
    if (
        not isinstance(line, dict)
        or not isinstance(line.get("image"), str)
        or not isinstance(line.get("attributes"), dict)
    ):
        raise UserError("expected an object with a text 'image' and an object 'attributes'")

    # Only the last part of a path counts, so that nothing is written outside the kit.
    name = Path(line["image"]).name
    if not name.endswith(".png"):
        raise UserError(
            f"image {line['image']!r} is not a .png; drawn pictures are PNG files, as 'images/01.png'"
        )

    # Fur, scales and metal hide the skin.
    values: dict[str, str] = line["attributes"]
    optional = set() if values.get("species") == "human" else {"skin"}
    unknown = sorted(set(values) - set(ATTRIBUTES))
    missing = sorted(set(ATTRIBUTES) - optional - set(values))
    if unknown or missing:
        raise UserError(
            f"unknown attributes: {', '.join(unknown) or 'none'}; "
            f"missing attributes: {', '.join(missing) or 'none'}"
        )

    # Values are checked by the two constructors.
    identity = Identity(**{key: value for key, value in values.items() if key in IDENTITY})
    scene = Scene(**{key: value for key, value in values.items() if key in SCENE})

    # The seed depends on the line alone, see `render_kit`. CRC-32 is stable, unlike `hash`, which is salted.
    seed = zlib.crc32(json.dumps([name, values], sort_keys=True).encode())
    return name, (identity, scene, seed)
