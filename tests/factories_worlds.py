"""Art of a toy size: emoji that are a disc or a square, one drawing, one photograph."""

import io
import json
import zipfile
from pathlib import Path

from PIL import Image

from unichar.pretrain.worlds.art import _PHOTOGRAPHS, EMOJI_SETS, Art
from unichar.pretrain.worlds.scenery import places

PROPS = ("apple", "kite-surfing", "teapot")


def make_art(folder: Path) -> Art:
    """Art with every thing that stands in a place, and a few props."""
    names = sorted({thing for place in places().values() for thing in place.things} | set(PROPS))
    for index, hand in enumerate(EMOJI_SETS):
        icons = {}
        for number, name in enumerate(names):
            color = f"#{(number * 7919 + index * 333) % 0xFFFFFF:06x}"
            icons[name] = {"body": f'<circle cx="8" cy="8" r="7" fill="{color}"/>'}
        (folder / hand).mkdir(parents=True)
        pack = {"icons": icons, "aliases": {"pomme": {"parent": "apple"}}, "width": 16, "height": 16}
        (folder / hand / "icons.json").write_text(json.dumps(pack))

    metadata = {"categories": {title: [] for title in _CATEGORIES} | {"Objects": names}}
    (folder / "noto" / "metadata.json").write_text(json.dumps(metadata))

    clips = folder / "clipart" / "usr" / "share" / "openclipart" / "svg" / "animals"
    clips.mkdir(parents=True)
    (clips / "cat.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
        '<rect width="9" height="9" fill="red"/></svg>'
    )
    (clips / "broken.svg").write_text("no drawing")
    _wheel(
        folder / "scikit_learn-0-none.whl",
        ("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"),
    )
    _wheel(folder / "scikit_image-0-none.whl", _PHOTOGRAPHS["scikit_image"])
    return Art(folder)


_CATEGORIES = ("Animals & Nature", "Food & Drink", "Objects", "Activities", "Travel & Places")


def _wheel(path: Path, names) -> None:
    """A wheel with photographs: gradients of 96 x 64 pixels."""
    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            data = io.BytesIO()
            picture.save(data, "PNG")
            archive.writestr(name, data.getvalue())
