"""Contact sheets (arms side by side on the same prompts) and pictures as data URIs. Pillow, no torch.

    row = SheetRow("Mochi, waving", ((oracle,), (a, b), (c, d)))
    contact_sheet([row], ["Oracle", "Base", "SFT"]).save("sheet.png")

Captions use Pillow's built-in font, which has plain Latin letters only: accents are dropped, other scripts
show as boxes.
"""

import base64
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

_PAPER, _EMPTY, _RULE = (251, 250, 247), (238, 236, 230), (226, 223, 215)
"""Colours: background, cells without a picture, lines between rows."""
_INK, _SOFT = (38, 40, 48), (104, 108, 120)
"""Colours of headings and of captions."""
_MARGIN, _GAP, _GUTTER = 24, 6, 26
"""Pixels: around the sheet, between pictures of a cell, between columns."""
_HEADING, _CAPTION = 46, 190
"""Pixels: height of the headings, width of the captions."""
_LINE, _MOST_LINES = 20, 5
"""Pixels of a caption's line; lines after which a caption is cut."""
_QUALITIES = (90, 80, 70, 60)
"""JPEG qualities that are tried before a picture is made smaller."""
_LEAST_URI = 2_000
"""Characters of a data URI below which no picture can be recognised."""
_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class SheetRow:
    """One prompt: its caption and, for each column, the pictures made of it."""

    caption: str
    pictures: tuple[tuple[Image.Image, ...], ...]
    """One tuple of pictures a column; an empty one leaves the cell blank."""


def contact_sheet(rows: Sequence[SheetRow], columns: Sequence[str], *, cell: int = 128) -> Image.Image:
    """An RGB image: a row per prompt with its caption at the left, a column per arm with its heading on top.

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
                f"row {row.caption!r} has pictures for {len(row.pictures)} columns, "
                f"not for {', '.join(columns)}"
            )

    # A column is as wide as its fullest cell.
    slots = [max(1, *(len(row.pictures[i]) for row in rows)) for i in range(len(columns))]
    widths = [num * cell + (num - 1) * _GAP for num in slots]
    lefts = [_MARGIN + _CAPTION + _GUTTER + sum(widths[:i]) + i * _GUTTER for i in range(len(columns))]
    row_height = max(cell, _MOST_LINES * _LINE) + 2 * _GAP

    # An empty sheet, large enough for all rows and columns.
    width = lefts[-1] + widths[-1] + _MARGIN
    height = _MARGIN + _HEADING + len(rows) * row_height + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)

    # Headings, each in the middle of its column.
    font = ImageFont.load_default(size=18)
    middle = _MARGIN + _HEADING / 2 - 6
    for name, left, column_width in zip(columns, lefts, widths, strict=True):
        pen.text((left + column_width / 2, middle), _plain(name), fill=_INK, font=font, anchor="mm")

    # Rows: a line above, the caption at the left, the pictures in their columns.
    font = ImageFont.load_default(size=14)
    for number, row in enumerate(rows):
        top = _MARGIN + _HEADING + number * row_height
        pen.line((_MARGIN, top, sheet.width - _MARGIN, top), fill=_RULE, width=1)
        _write(pen, row.caption, top=top, height=row_height, font=font)
        for pictures, left in zip(row.pictures, lefts, strict=True):
            _paste(sheet, pictures, left=left, top=top + (row_height - cell) // 2, cell=cell)
    return sheet


def thumbnail_data_uri(image: Image.Image, max_bytes: int = 20_000) -> str:
    """A picture as a `data:` URI of at most `max_bytes` characters.

    PNG where it fits, else JPEG of falling quality, else the same with fewer pixels.

    Raises:
        ValueError: `max_bytes` is under 2,000, too little for any picture.
    """
    if max_bytes < _LEAST_URI:
        raise ValueError(f"max_bytes must be at least {_LEAST_URI}, not {max_bytes}")

    # JPEG has no transparency, so the picture is made opaque for both formats.
    small = _opaque(image)
    uri = _data_uri(small, "png")

    while len(uri) > max_bytes:
        for quality in _QUALITIES:
            uri = _data_uri(small, "jpeg", quality=quality)
            if len(uri) <= max_bytes:
                break
        # The size of this round was too large at every quality: the next one is three quarters of it.
        small = small.resize(
            (max(1, small.width * 3 // 4), max(1, small.height * 3 // 4)), Image.Resampling.LANCZOS
        )
    return uri


def _data_uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, optimize=True, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _opaque(image: Image.Image) -> Image.Image:
    """RGB, transparent parts on white."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image.convert("RGB")
    # A palette with one transparent colour has no alpha channel until it is converted.
    solid = image.convert("RGBA")
    white = Image.new("RGBA", solid.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, solid).convert("RGB")


def _paste(sheet: Image.Image, pictures: tuple[Image.Image, ...], *, left: int, top: int, cell: int) -> None:
    """The pictures of one cell side by side, with rounded corners."""
    # One mask for all pictures of the cell: they have the same size.
    mask = Image.new("L", (cell, cell), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, cell - 1, cell - 1), radius=cell // 16, fill=255)

    for slot, picture in enumerate(pictures):
        # A picture that is not square keeps its proportions, with bars at its sides.
        tile = Image.new("RGB", (cell, cell), _EMPTY)
        fitted = ImageOps.contain(_opaque(picture), (cell, cell), Image.Resampling.LANCZOS)
        tile.paste(fitted, ((cell - fitted.width) // 2, (cell - fitted.height) // 2))
        sheet.paste(tile, (left + slot * (cell + _GAP), top), mask)


def _write(pen: ImageDraw.ImageDraw, text: str, *, top: int, height: int, font: _Font) -> None:
    """A caption at the left of a row, wrapped, in the middle of its height."""
    # Few lines stand in the middle of the row, many fill it.
    lines = _wrap(text, font)
    first = top + (height - len(lines) * _LINE) / 2
    for number, line in enumerate(lines):
        pen.text((_MARGIN, first + number * _LINE + _LINE / 2), line, fill=_SOFT, font=font, anchor="lm")


def _wrap(text: str, font: _Font) -> list[str]:
    """Lines no wider than the caption column; too long words are broken, too many lines end with dots."""
    lines = [""]
    for word in _plain(text).split():
        if lines[-1] and font.getlength(f"{lines[-1]} {word}") <= _CAPTION:
            lines[-1] = f"{lines[-1]} {word}"
            continue

        # The word starts a line, and is broken wherever it would leave the column.
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > _CAPTION:
                lines.append("")
            lines[-1] += letter

    # The last line that fits gives up three letters for the dots.
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1][:-3].rstrip() + "..."]
    return lines


def _plain(text: str) -> str:
    """Text as the built-in font can show it: without accents, with plain dashes."""
    # Decomposed, an accented letter is the letter and a combining accent, which is dropped.
    letters = unicodedata.normalize("NFKD", text.replace("\u2013", "-").replace("\u2014", "-"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
