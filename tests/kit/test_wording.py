import pytest

from unichar.domains.lookup import DOMAINS
from unichar.kit.schema import SceneRow
from unichar.kit.wording import bare, complete

TOON, PHOTO = DOMAINS["toon"], DOMAINS["photo"]
ATTRIBUTES = {"species": "frog", "expression": "sad", "pose": "waving", "prop": "cup", "background": "beach"}


@pytest.mark.parametrize("text", ["You're late!", "YOU’RE  LATE", ' "you\'re late" ', "Youre late…"])
def test_the_same_said_in_other_spelling(text: str) -> None:
    assert bare(text) == "youre late"


def test_other_words_and_scripts_stay_apart() -> None:
    assert bare("You are late") != bare("You're late")
    assert bare("猫が好き") != bare("犬が好き")


def test_words_are_made_from_the_attributes() -> None:
    given = SceneRow(image="1.png", user="Hi", reply="Oh.", attributes=ATTRIBUTES)
    row = complete(given, TOON, name="Pip", seed=0)
    assert "Pip" in row.caption and "cup" in row.caption
    assert "sad" in row.thinking and "Pip" in row.thinking
    assert "Pip" in row.instruction


def test_the_authors_words_stay() -> None:
    given = SceneRow(
        image="1.png",
        caption="Pip at sea",
        thinking="Wet.",
        instruction="Draw Pip wet.",
        attributes=ATTRIBUTES,
    )
    assert complete(given, TOON, name="Pip", seed=0) == given


def test_without_attributes_the_caption_comes_from_the_instruction_and_names_the_character() -> None:
    given = SceneRow(image="1.png", user="Hi", reply="Oh.", instruction="a frog at sea")
    row = complete(given, PHOTO, name="Pip", seed=0)
    assert row.caption == "Pip: a frog at sea"
    assert row.thinking == ""


def test_without_anything_the_caption_comes_from_the_words_said() -> None:
    given = SceneRow(image="1.png", user="Hi", reply="Oh, hello! " * 50)
    row = complete(given, PHOTO, name="Pip", seed=0)
    assert row.caption.startswith('Pip, asked "Hi", answering "Oh, hello!')
    assert len(row.caption) < 250
    assert row.instruction == row.caption


def test_the_same_seed_gives_the_same_words_and_another_seed_others() -> None:
    row = SceneRow(image="1.png", attributes=ATTRIBUTES)
    words = {complete(row, TOON, name="Pip", seed=seed).caption for seed in range(10)}
    assert len(words) > 3
    assert complete(row, TOON, name="Pip", seed=1) == complete(row, TOON, name="Pip", seed=1)
