"""Contact sheets (base | SFT | GRPO on the same prompts and seeds) and small previews as data URIs. Pillow only, no torch.

    contact_sheet([SheetRow("Mochi, waving", ((truth,), (a, b), (c, d)))], ["truth", "base", "SFT"]).save("sheet.png")

Captions use Pillow's built-in font, which knows plain Latin letters only: accents are dropped, other scripts show as boxes.
"""

import base64
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

_PAPER, _EMPTY, _RULE = (251, 250, 247), (238, 236, 230), (226, 223, 215)
_INK, _SOFT = (38, 40, 48), (104, 108, 120)
_MARGIN, _GAP, _GUTTER, _HEADING, _CAPTION = 24, 6, 26, 46, 190
"""Pixels: around the sheet, between pictures of a cell, between columns, height of the headings, width of the captions."""
_LINE, _MOST_LINES = 20, 5
"""Pixels of a caption's line; lines after which a caption is cut."""
_QUALITIES = (90, 80, 70, 60)
_LEAST_URI = 2_000
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class SheetRow:
    """One prompt: its caption and, for each column, the pictures made of it."""

    caption: str
    pictures: tuple[tuple[Image.Image, ...], ...]
    """One tuple of pictures a column; an empty one leaves the place blank."""


def contact_sheet(rows: Sequence[SheetRow], columns: Sequence[str], *, cell: int = 128) -> Image.Image:
    """An RGB page: a row a prompt with its caption at the left, a column an arm with its heading on top.

    Args:
        rows: At least one.
        columns: Headings, at least one; every row has pictures for each.
        cell: Pixels of a picture's side; pictures are fitted into it, their proportions kept.

    Raises:
        ValueError: No rows, no columns, or a row with another number of columns.
    """
    if not rows or not columns:
        raise ValueError("a contact sheet needs at least one row and one column")
    for row in rows:
        if len(row.pictures) != len(columns):
            raise ValueError(
                f"row {row.caption!r} has pictures for {len(row.pictures)} columns, not for {', '.join(columns)}"
            )
    slots = [max(1, *(len(row.pictures[i]) for row in rows)) for i in range(len(columns))]
    widths = [num * cell + (num - 1) * _GAP for num in slots]
    lefts = [_MARGIN + _CAPTION + _GUTTER + sum(widths[:i]) + i * _GUTTER for i in range(len(columns))]
    heading, caption = ImageFont.load_default(size=18), ImageFont.load_default(size=14)
    pitch = max(cell, _MOST_LINES * _LINE) + 2 * _GAP
    page = Image.new(
        "RGB", (lefts[-1] + widths[-1] + _MARGIN, _MARGIN + _HEADING + len(rows) * pitch + _MARGIN), _PAPER
    )
    pen = ImageDraw.Draw(page)
    for name, left, width in zip(columns, lefts, widths, strict=True):
        pen.text(
            (left + width / 2, _MARGIN + _HEADING / 2 - 6), _plain(name), fill=_INK, font=heading, anchor="mm"
        )
    for number, row in enumerate(rows):
        top = _MARGIN + _HEADING + number * pitch
        pen.line((_MARGIN, top, page.width - _MARGIN, top), fill=_RULE, width=1)
        _write(pen, row.caption, top=top, height=pitch, font=caption)
        for pictures, left in zip(row.pictures, lefts, strict=True):
            _place(page, pictures, left=left, top=top + (pitch - cell) // 2, cell=cell)
    return page


def thumbnail_data_uri(image: Image.Image, max_bytes: int = 20_000) -> str:
    """A picture as a `data:` URI of at most `max_bytes` characters: PNG where it fits, else JPEG, else JPEG made smaller.

    Raises:
        ValueError: `max_bytes` is under 2,000, where no picture is worth looking at.
    """
    if max_bytes < _LEAST_URI:
        raise ValueError(f"max_bytes must be at least {_LEAST_URI}, not {max_bytes}")
    small = _flat(image)
    uri = _data_uri(small, "png")
    while len(uri) > max_bytes:
        for quality in _QUALITIES:
            uri = _data_uri(small, "jpeg", quality=quality)
            if len(uri) <= max_bytes:
                break
        small = small.resize(
            (max(1, small.width * 3 // 4), max(1, small.height * 3 // 4)), Image.Resampling.LANCZOS
        )
    return uri


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _flat(image: Image.Image) -> Image.Image:
    """RGB, transparent parts on white."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    solid = image.convert("RGBA")
    paper = Image.new("RGBA", solid.size, (255, 255, 255, 255))
    return Image.alpha_composite(paper, solid).convert("RGB")


def _place(page: Image.Image, pictures: tuple[Image.Image, ...], *, left: int, top: int, cell: int) -> None:
    mask = Image.new("L", (cell, cell), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, cell - 1, cell - 1), radius=cell // 16, fill=255)
    for slot, picture in enumerate(pictures):
        tile = Image.new("RGB", (cell, cell), _EMPTY)
        fitted = ImageOps.contain(_flat(picture), (cell, cell), Image.Resampling.LANCZOS)
        tile.paste(fitted, ((cell - fitted.width) // 2, (cell - fitted.height) // 2))
        page.paste(tile, (left + slot * (cell + _GAP), top), mask)


def _write(pen: ImageDraw.ImageDraw, text: str, *, top: int, height: int, font: _Font) -> None:
    """A caption at the left of a row, wrapped, in the middle of its height."""
    lines = _wrap(text, font)
    first = top + (height - len(lines) * _LINE) / 2
    for number, line in enumerate(lines):
        pen.text((_MARGIN, first + number * _LINE + _LINE / 2), line, fill=_SOFT, font=font, anchor="lm")


def _wrap(text: str, font: _Font) -> list[str]:
    """Lines no wider than the caption column; words too long for one are broken, lines too many are cut with dots."""
    lines = [""]
    for word in _plain(text).split():
        if lines[-1] and font.getlength(f"{lines[-1]} {word}") <= _CAPTION:
            lines[-1] = f"{lines[-1]} {word}"
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > _CAPTION:
                lines.append("")
            lines[-1] += letter
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1][:-3].rstrip() + "..."]
    return lines


def _plain(text: str) -> str:
    """Text in the letters of the built-in font, as far as it goes: accents dropped, dashes plain."""
    letters = unicodedata.normalize("NFKD", text.replace("\u2013", "-").replace("\u2014", "-"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
