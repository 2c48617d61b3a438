"""Contact sheets show every picture in its row and column; data URIs keep to their size."""

import base64
import io
import random

import pytest
from PIL import Image

from unichar.evaluation.sheets import SheetRow, contact_sheet, thumbnail_data_uri

RED, GREEN, BLUE = (200, 30, 30), (30, 160, 60), (40, 70, 210)


def plain(color: tuple[int, int, int], size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, color)


def noise(side: int) -> Image.Image:
    return Image.frombytes("RGB", (side, side), random.Random(0).randbytes(3 * side * side))


def opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))


def middle_of(sheet: Image.Image, color: tuple[int, int, int]) -> tuple[float, float]:
    """Mean (x, y) of the pixels of one colour."""
    found = []
    for i, pixel in enumerate(sheet.get_flattened_data()):
        if pixel == color:
            found.append((i % sheet.width, i // sheet.width))
    return sum(x for x, _ in found) / len(found), sum(y for _, y in found) / len(found)


def test_columns_stand_side_by_side_and_rows_below_each_other():
    rows = [SheetRow("one", ((plain(RED),), (plain(GREEN),))), SheetRow("two", ((plain(BLUE),), ()))]
    sheet = contact_sheet(rows, ["base", "SFT"], cell=64)
    red, green, blue = middle_of(sheet, RED), middle_of(sheet, GREEN), middle_of(sheet, BLUE)
    assert red[1] == pytest.approx(green[1], abs=1) and red[0] + 64 <= green[0]
    assert red[0] == pytest.approx(blue[0], abs=1) and red[1] + 64 <= blue[1]


def test_several_pictures_of_one_prompt_widen_their_column():
    one = contact_sheet([SheetRow("x", ((plain(RED),),))], ["base"])
    three = contact_sheet([SheetRow("x", ((plain(RED),) * 3,))], ["base"])
    assert three.width >= one.width + 2 * 128


def test_pictures_keep_their_proportions():
    sheet = contact_sheet([SheetRow("x", ((plain(RED, (200, 50)),),))], ["base"], cell=128)
    rows_with_red = {i // sheet.width for i, pixel in enumerate(sheet.get_flattened_data()) if pixel == RED}
    assert len(rows_with_red) == 32


def test_long_captions_are_wrapped_beside_the_pictures_and_cut():
    caption = "A picture of Mochi " + "very " * 60 + "Zauberwortungetümohneendeundohneeineluecke" * 3
    sheet = contact_sheet([SheetRow(caption, ((plain(RED),),))], ["base"])
    first_picture = min(i % sheet.width for i, pixel in enumerate(sheet.get_flattened_data()) if pixel == RED)
    gutter = sheet.crop((first_picture - 20, 80, first_picture - 2, sheet.height - 30))
    assert len(set(gutter.get_flattened_data())) == 1


@pytest.mark.parametrize(
    ("rows", "columns", "says"),
    [
        ([], ["base"], "at least one row"),
        ([SheetRow("x", ())], [], "one column"),
        ([SheetRow("x", ((plain(RED),),))], ["base", "SFT"], "1 columns, not for base, SFT"),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused(rows, columns, says):
    with pytest.raises(ValueError, match=says):
        contact_sheet(rows, columns)


def test_a_drawing_stays_exact_when_it_fits():
    uri = thumbnail_data_uri(plain(RED))
    assert uri.startswith("data:image/png;base64,")
    assert opened(uri).getpixel((5, 5)) == RED


@pytest.mark.parametrize("most", [2_000, 20_000, 200_000])
def test_a_busy_picture_keeps_to_its_size(most):
    uri = thumbnail_data_uri(noise(400), most)
    assert len(uri) <= most
    assert uri.startswith("data:image/jpeg;base64,")
    assert min(opened(uri).size) >= 8


def test_transparent_parts_become_white():
    assert opened(thumbnail_data_uri(Image.new("RGBA", (8, 8), (255, 0, 0, 0)))).getpixel((0, 0)) == (
        255,
        255,
        255,
    )


def test_a_size_too_small_for_any_picture_is_refused():
    with pytest.raises(ValueError, match="at least 2000"):
        thumbnail_data_uri(plain(RED), 100)
