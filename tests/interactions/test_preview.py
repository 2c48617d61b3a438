"""The preview shows texts of a kit as text, whatever they contain."""

import pytest
from factories_interactions import make_curated_kit

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.preview import preview
from unichar.interactions.synthesize import compose
from unichar.types import Exchange, Interaction, Segment


def item(text: str, **values) -> Interaction:
    segments = (
        Segment(type="image", value="images/00.png", role="user"),
        Segment(type="text", value=text, role="assistant", loss=True),
    )
    fields = {"id": "x-0000", "kind": "visual_qa", "form": "name", "split": "train", "group": "picture-00"}
    return Interaction(**(fields | {"segments": segments} | values))


def test_kit_text_is_shown_as_text(tmp_path):
    evil = Exchange(user="<script>alert(1)</script>", reply="# Hmph.\n[click](http://x) `code`")
    kit = make_curated_kit(tmp_path / "kit", dialogues=(evil,), name="Bram*ble*")
    items, _ = compose(kit, InteractionsConfig(), 0)
    assert evil.user in [item.prompt for item in items if item.kind == "role_play"]

    text = preview("Interactions of Bram*ble*", items)
    assert "<script>" not in text
    assert "[click](" not in text
    assert "Bram\\*ble\\*" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("one\n\n two", "one ⏎ two"), ("a < b", "a &lt; b"), ("`x`", "\\`x\\`"), ("1. item", "1. item")],
)
def test_a_text_is_one_line_without_markdown(text, shown):
    assert f"- assistant (learned): {shown}" in preview("X", [item(text)]).splitlines()


def test_pictures_options_and_counts_are_shown():
    lines = preview("X", [item("Mochi", options=("Mochi", "Bo")), item("Bo")]).splitlines()
    assert "## visual_qa, train: 2 items" in lines
    assert "- user: \\[images/00.png\\]" in lines
    assert "- options, the right one first: Mochi / Bo" in lines


def test_only_the_first_items_of_a_form_are_shown():
    text = preview("X", [item(f"answer {number}") for number in range(9)])
    assert "answer 3" in text and "answer 4" not in text
