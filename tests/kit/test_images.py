import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from factories_kit import PIP_IDENTITY
from PIL import Image, ImageEnhance

from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import EXPRESSIONS, Scene
from unichar.kit.images import PictureSignature, UnusablePicture, check_size, load_picture, prepare


def toon(expression: str = "smiling", size: int = 256) -> Image.Image:
    return draw(
        PIP_IDENTITY, Scene(expression=expression, pose="waving", prop="cup", background="beach"), size=size
    )


def grey_level(image: Image.Image) -> int:
    return int(np.asarray(image.convert("L"))[image.height // 2, image.width // 2])


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image.convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "RGBX", "F", "I;16", "I;16B", "I"]
)
def test_every_mode_keeps_its_brightness(mode: str) -> None:
    expected = 128
    if mode == "F":
        image = Image.fromarray(np.full((40, 40), 128, np.float32))
    elif mode.startswith("I"):
        kind = {"I;16": "<u2", "I;16B": ">u2", "I": np.int32}[mode]
        image = Image.fromarray(np.full((40, 40), 128 * 257, dtype=kind))
    else:
        expected = 255 if mode == "1" else 128
        image = in_mode(Image.new("L", (40, 40), expected), mode)
    assert image.mode == mode
    square = prepare(image, 32)
    assert (square.mode, square.size) == ("RGB", (32, 32))
    assert abs(grey_level(square) - expected) <= 2


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("P", "png"), ("I;16", "png"), ("CMYK", "jpg"), ("L", "jpg"), ("RGBA", "webp")],
)
def test_every_mode_survives_a_file(tmp_path: Path, mode: str, suffix: str) -> None:
    image = (
        Image.fromarray(np.full((40, 40), 128 * 257, np.uint16))
        if mode == "I;16"
        else Image.new("L", (40, 40), 128)
    )
    path = tmp_path / f"a.{suffix}"
    (image if mode == "I;16" else in_mode(image, mode)).save(path)
    assert abs(grey_level(load_picture(path, 32)) - 128) <= 2


def test_a_colour_space_pillow_gets_wrong_is_refused() -> None:
    with pytest.raises(UnusablePicture, match="LAB"):
        prepare(Image.new("LAB", (40, 40)), 32)


@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "P", "PA"])
def test_transparency_becomes_white_whatever_colour_hides_below(mode: str) -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    if mode in ("LA", "La", "RGBa"):
        image = Image.new(mode, (40, 40), 0)
    if mode in ("P", "PA"):
        image = Image.new("P", (40, 40), 0)
        image.info["transparency"] = 0
        image = image if mode == "P" else image.convert("PA")
    assert grey_level(prepare(image, 32)) == 255


def test_half_transparency_is_mixed_with_white_or_the_background_asked_for() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 128))
    assert abs(grey_level(prepare(image, 32)) - 127) <= 1
    assert grey_level(prepare(image, 32, (0, 0, 0))) == 0


def test_a_photo_stored_sideways_stands_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 60), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 30, 60))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: the left half is the top
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    square = np.asarray(load_picture(tmp_path / "a.jpg", 32))
    assert square[4, 16, 2] > 200 and square[28, 16, 0] > 200


def test_wide_photos_keep_the_middle_and_tall_ones_the_upper_part() -> None:
    stripes = np.zeros((40, 80, 3), np.uint8)
    stripes[:, 20:60] = 200
    assert np.asarray(prepare(Image.fromarray(stripes), 40)).min() == 200
    tall = np.zeros((80, 40, 3), np.uint8)
    tall[10:50] = 200  # a quarter of the excess is cut above
    assert np.asarray(prepare(Image.fromarray(tall), 40)).min() == 200


def test_cutouts_are_padded_and_lose_nothing() -> None:
    image = Image.new("RGBA", (80, 40), (0, 0, 0, 255))
    image.putpixel((40, 0), (0, 0, 0, 0))
    square = np.asarray(prepare(image, 80))
    assert square[2, 40].min() == 255 and square[78, 40].min() == 255  # bars above and below
    assert square[40, 1].max() == 0 and square[40, 78].max() == 0  # both ends are there


def test_very_long_photos_are_padded() -> None:
    square = np.asarray(prepare(Image.new("RGB", (90, 30), (0, 0, 0)), 90))
    assert square[2, 45].min() == 255 and square[45, 1].max() == 0


@pytest.mark.parametrize("size", [(12000, 3), (3, 12000), (1, 1), (1, 40), (129, 64), (5000, 5000)])
def test_any_size_and_shape_becomes_the_square(size: tuple[int, int]) -> None:
    """A strip costs no more memory than itself, and its one line stays visible."""
    square = prepare(Image.new("RGB", size, (0, 0, 0)), 64)
    assert square.size == (64, 64) and int(np.asarray(square)[31:33, 31:33].min()) == 0


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_of_a_camera_is_undone(tmp_path: Path, turn: int) -> None:
    image = toon(size=64)
    turned = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }[turn]
    stored = image
    for step in turned:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = turn
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.asarray(load_picture(tmp_path / "a.png", 64)), np.asarray(image))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_notes_of_a_camera_do_not_cost_the_picture(tmp_path: Path, exif: bytes) -> None:
    toon().save(tmp_path / "a.jpg", exif=exif)
    assert load_picture(tmp_path / "a.jpg", 64).size == (64, 64)


def test_pictures_shown_by_hand_have_limits() -> None:
    check_size(Image.new("1", (16, 5000)))
    with pytest.raises(UnusablePicture, match="is 15 x 40 pixels; show one with at least 16"):
        check_size(Image.new("1", (15, 40)))
    with pytest.raises(UnusablePicture, match="is 8000 x 5001 pixels, more than 40,000,000"):
        check_size(Image.new("1", (8000, 5001)))


def test_a_file_with_another_suffix_than_its_content_is_read(tmp_path: Path) -> None:
    toon().save(tmp_path / "a.png", format="JPEG")
    assert load_picture(tmp_path / "a.png", 64).size == (64, 64)


def test_a_phone_picture_with_a_second_frame_is_a_picture(tmp_path: Path) -> None:
    toon().save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[toon("sad")])
    assert load_picture(tmp_path / "a.jpg", 64).size == (64, 64)


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a PNG"),
        (b"hello", "not a PNG"),
        (b"GIF89a" + bytes(40), "not a PNG"),
        (png_header(7000, 7000), "more than 40,000,000"),
        (png_header(12000, 12000), "more than 40,000,000"),
        (png_header(60000, 60000), "more than 40,000,000"),
        (png_header(30, 30), "damaged"),
    ],
)
def test_bad_files_are_refused_with_the_reason(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnusablePicture, match=says):
        load_picture(path, 32)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_cut_off_files_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    toon().save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnusablePicture):
        load_picture(path, 32)


def test_animations_are_refused(tmp_path: Path) -> None:
    toon().save(tmp_path / "a.webp", save_all=True, append_images=[toon("sad")])
    with pytest.raises(UnusablePicture, match="animation of 2 frames"):
        load_picture(tmp_path / "a.webp", 32)


def saved_again(image: Image.Image, **options: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return Image.open(file).convert("RGB")


def test_the_same_picture_is_recognised_after_it_was_saved_again() -> None:
    original = PictureSignature(toon())
    for again in (
        saved_again(toon(), quality=40),
        toon().resize((100, 100)),
        ImageEnhance.Brightness(toon()).enhance(1.05),
    ):
        assert original.is_same_picture(PictureSignature(again))


def test_the_same_scene_with_another_face_is_another_picture() -> None:
    original = PictureSignature(toon())
    for expression in EXPRESSIONS[1:]:
        assert not original.is_same_picture(PictureSignature(toon(expression)))
