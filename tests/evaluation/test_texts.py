"""Likelihoods and replies: on toy models whose answers are known, and on the real one."""

import dataclasses
import math

import pytest
import torch
from factories_model import TINY

from unichar.evaluation.texts import evenly, held_out_nll, measure_text, option_accuracy, style_of, turns_of
from unichar.judges.style import Style
from unichar.model.character import Character, GenerationConfig
from unichar.types import CuratedKit, Interaction, Segment, read_interactions


def question(answer: str, *others: str) -> Interaction:
    segments = (
        Segment(type="text", value="Where does Bramble live?", role="user"),
        Segment(type="text", value=answer, role="assistant", loss=True),
    )
    return Interaction(
        id="q",
        kind="knowledge_qa",
        form="fact",
        split="test",
        group="g",
        segments=segments,
        options=(answer, *others),
    )


class Bookworm:
    """Finds every letter of a known text easy and of any other hard; batches are remembered."""

    def __init__(self, *known: str) -> None:
        self.known, self.batches = known, []

    def text_losses(self, conversations, folder):
        self.batches.append(len(conversations))
        words = [segments[-1].value for segments in conversations]
        return [torch.full((len(text),), 0.5 if text in self.known else 2.0) for text in words]


def test_a_right_answer_is_the_likeliest_by_letter_however_long(tmp_path):
    long = "in the lighthouse on Pebble Point, where it is windy"
    assert option_accuracy(Bookworm(long), [question(long, "in a barn", "x", "y")], tmp_path).value == 1
    assert option_accuracy(Bookworm("x"), [question(long, "in a barn", "x", "y")], tmp_path).value == 0
    half = option_accuracy(
        Bookworm("a"), [question("a", "b", "c", "d"), question("b", "a", "c", "d")], tmp_path
    )
    assert (half.value, half.n) == (0.5, 2) and 0 <= half.low <= half.high <= 1


def test_a_draw_is_no_right_answer(tmp_path):
    """Else a model that knows nothing would be right every time, since the right option comes first."""
    assert option_accuracy(Bookworm(), [question("a", "b", "c", "d")], tmp_path).value == 0


def test_only_the_words_with_a_loss_are_exchanged_for_an_option(tmp_path):
    seen = []

    class Witness(Bookworm):
        def text_losses(self, conversations, folder):
            seen.extend([[segment.value for segment in segments] for segments in conversations])
            return super().text_losses(conversations, folder)

    option_accuracy(Witness("a"), [question("a", "b", "c", "d")], tmp_path)
    assert seen == [["Where does Bramble live?", option] for option in "abcd"]


def test_surprise_is_a_mean_over_tokens_not_over_replies(tmp_path):
    items = [question("ten tokens"), question("xx")]
    found = held_out_nll(Bookworm("ten tokens"), items, tmp_path)
    assert found.value == pytest.approx((10 * 0.5 + 2 * 2.0) / 12)
    assert found.n == 2


def test_many_items_go_through_in_batches(tmp_path):
    worm = Bookworm("a")
    held_out_nll(worm, [question("a")] * 37, tmp_path)
    assert sum(worm.batches) == 37 and max(worm.batches) <= 16


def test_a_part_is_spread_over_the_whole():
    items = [question(str(number)) for number in range(10)]
    assert [item.options[0] for item in evenly(items, 4)] == ["0", "2", "5", "7"]
    assert evenly(items, 10) == items == evenly(items, 99)


def test_the_reference_reply_is_not_shown(inputs):
    for item in read_interactions(inputs["interactions"] / "test.jsonl"):
        if item.kind == "role_play":
            turns = turns_of(item)
            assert turns[-1].role == "user" and turns[-1].text == item.prompt
            assert item.target.value not in [turn.text for turn in turns]


def test_style_needs_somebody_to_compare_with():
    assert style_of({"bramble": ["Hmph."]}, "bramble") is None
    assert style_of({"vidor": ["Applaud!"], "nia": ["One more shot"]}, "bramble") is None
    assert isinstance(style_of({"bramble": ["Hmph."], "vidor": ["Applaud!"]}, "bramble"), Style)


@pytest.fixture(scope="module")
def material(model, inputs):
    """(actor, test items, folder of their pictures)"""
    kit = CuratedKit.read(inputs["curated_kit"])
    test = read_interactions(inputs["interactions"] / "test.jsonl")
    return (
        Character(model, kit, GenerationConfig(max_reply_tokens=6, max_plan_tokens=8)),
        test,
        inputs["curated_kit"],
    )


def test_a_real_model_gets_every_measure(material):
    actor, test, folder = material
    style = Style({"bramble": ["Hmph. The light stays on."], "vidor": ["Applaud, dear subject!"]})
    words = measure_text(actor, test, folder, style=style, config=TINY["evaluate"])
    assert words.metrics.keys() == {"held_out_nll", "knowledge_accuracy", "vqa_accuracy", "style"}
    assert all(math.isfinite(value.value) for value in words.metrics.values())
    assert 0.5 < words.metrics["held_out_nll"].value < 12
    asked = {item.prompt for item in test if item.kind == "role_play"}
    multimodal_turns = {item.segments[1].value for item in test if item.kind == "thinking"}
    assert len(words.chats) == 1 and set(words.chats) <= asked
    assert len(words.chains) == 1 and set(words.chains) <= multimodal_turns
    assert words.metrics["style"].n == 2
    again = measure_text(actor, test, folder, style=style, config=TINY["evaluate"])
    assert again == words


def test_measures_without_items_are_left_out(material):
    actor, test, folder = material
    few = [dataclasses.replace(item, options=()) for item in test]
    words = measure_text(actor, few, folder, style=None, config=TINY["evaluate"])
    assert words.metrics.keys() == {"held_out_nll"}


def test_a_real_model_is_not_fooled_by_gibberish(model, tmp_path):
    items = [question("in the lighthouse by the sea", "zq xv kj wqz", "]]{{ ;; ##", "vlu vlu vlu gnarx")]
    assert option_accuracy(model, items, tmp_path).value == 1
