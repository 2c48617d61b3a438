"""Showing a picture by hand: it stands upright, and a bad file is named."""

from pathlib import Path

import pytest
from PIL import Image

from unichar.kit.images import UnusablePicture
from unichar.serving.talk import read_picture


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_photo_stored_sideways_is_shown_upright(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 30)).save(tmp_path / f"a.{suffix}", exif=exif)
    assert read_picture(tmp_path / f"a.{suffix}").size == (30, 60)


def test_a_bad_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no picture .*none\.png"):
        read_picture(tmp_path / "none.png")
    (tmp_path / "words.png").write_text("hello")
    with pytest.raises(UnusablePicture, match=r"words\.png is not a PNG, JPEG or WebP picture"):
        read_picture(tmp_path / "words.png")
    Image.new("RGB", (8, 30)).save(tmp_path / "small.png")
    with pytest.raises(UnusablePicture, match=r"small\.png is 8 x 30 pixels; show one with at least 16"):
        read_picture(tmp_path / "small.png")
