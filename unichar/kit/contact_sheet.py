"""A contact sheet: a kit's pictures on one page, numbered, the held-out ones marked."""

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, LABEL, COLUMNS = 160, 10, 22, 5
"""Pixels of a picture's side, between cells and under a picture; cells in a row."""
_PAPER, _INK, _MARK = (255, 255, 255), (40, 40, 40), (214, 96, 0)


def contact_sheet(images: list[Image.Image], held_out: list[bool]) -> Image.Image:
    """An RGB page of all `images` (at least one); `held_out` says for each whether it is marked."""
    num_rows = -(-len(images) // COLUMNS)
    width, height = CELL + GAP, CELL + LABEL + GAP
    page = Image.new("RGB", (min(len(images), COLUMNS) * width + GAP, num_rows * height + GAP), _PAPER)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=14)
    for number, (image, is_held_out) in enumerate(zip(images, held_out, strict=True)):
        x, y = GAP + number % COLUMNS * width, GAP + number // COLUMNS * height
        page.paste(image.resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))
        if is_held_out:
            pen.rectangle((x - 3, y - 3, x + CELL + 2, y + CELL + 2), outline=_MARK, width=3)
        label = f"{number:02d}" + (" held out" if is_held_out else "")
        pen.text((x, y + CELL + 4), label, fill=_MARK if is_held_out else _INK, font=font)
    return page
