"""The page of unseen captions."""

from factories_small import small_home

from unichar.model.load import load_model
from unichar.pretrain.worlds.page import COLUMNS, drawn_page, unseen_pictures
from unichar.pretrain.worlds.styles import training_styles


def test_every_style_has_an_unseen_identity(art):
    drawn = unseen_pictures(art, 32)
    shown = [picture.facts["style"] for picture in drawn]
    assert len(shown) == len(set(shown)) > 20 and set(shown) < set(training_styles())
    assert drawn[0].image.tobytes() == unseen_pictures(art, 32)[0].image.tobytes()


def test_a_page_has_a_caption_and_three_pictures_a_style(art, small_base):
    with small_home(small_base):
        model = load_model(small_base)
        page, captions = drawn_page(model, art)
    count = len(unseen_pictures(art, 32))
    assert len(captions) == count and all(captions)
    assert page.size == (COLUMNS * 36, -(-count // COLUMNS) * 3 * 36)
    assert page.getpixel((18, 18 + 2 * 36)) != (255, 255, 255)
