"""A contact sheet: all pictures of a kit on one page, numbered, with a frame around the held-out ones."""

from PIL import Image, ImageDraw, ImageFont

CELL = 160
"""Side of a picture in pixels."""
GAP = 10
"""Pixels between cells."""
LABEL = 22
"""Height of the label under a picture in pixels."""
COLUMNS = 5

_PAPER, _INK, _HIGHLIGHT = (255, 255, 255), (40, 40, 40), (214, 96, 0)


def contact_sheet(images: list[Image.Image], held_out: list[bool]) -> Image.Image:
    """An RGB page of all `images`, at least one; `held_out` says for each whether it gets a frame."""
    # Rounded up: the last row may be shorter.
    num_rows = -(-len(images) // COLUMNS)
    width, height = CELL + GAP, CELL + LABEL + GAP
    page = Image.new("RGB", (min(len(images), COLUMNS) * width + GAP, num_rows * height + GAP), _PAPER)
    canvas = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=14)

    for number, (image, is_held_out) in enumerate(zip(images, held_out, strict=True)):
        x, y = GAP + number % COLUMNS * width, GAP + number // COLUMNS * height

        page.paste(image.resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))
        if is_held_out:
            # The frame lies in the gap around the picture and hides none of it.
            canvas.rectangle((x - 3, y - 3, x + CELL + 2, y + CELL + 2), outline=_HIGHLIGHT, width=3)

        # The number is that of the file, images/NN.png.
        label = f"{number:02d}" + (" held out" if is_held_out else "")
        canvas.text((x, y + CELL + 4), label, fill=_HIGHLIGHT if is_held_out else _INK, font=font)

    return page
