"""Likelihoods and replies: on toy models with known answers, and on the real one."""

import dataclasses
import math

import pytest
import torch
from factories_model import TINY

from unichar.evaluation.texts import held_out_nll, history_of, measure_text, option_accuracy
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


class ToyModel:
    """A low loss on every letter of a known text, a high one on others; records its batch sizes."""

    def __init__(self, *known: str) -> None:
        self.known, self.batches = known, []

    def text_losses(self, conversations, folder):
        self.batches.append(len(conversations))
        words = [segments[-1].value for segments in conversations]
        return [torch.full((len(text),), 0.5 if text in self.known else 2.0) for text in words]


def test_a_right_answer_has_the_highest_likelihood_per_token_however_long(tmp_path):
    long = "in the lighthouse on Pebble Point, where it is windy"
    assert option_accuracy(ToyModel(long), [question(long, "in a barn", "x", "y")], tmp_path).value == 1
    assert option_accuracy(ToyModel("x"), [question(long, "in a barn", "x", "y")], tmp_path).value == 0
    half = option_accuracy(
        ToyModel("a"), [question("a", "b", "c", "d"), question("b", "a", "c", "d")], tmp_path
    )
    assert (half.value, half.n) == (0.5, 2) and 0 <= half.low <= half.high <= 1


def test_a_tie_is_no_right_answer(tmp_path):
    """Else a model that knows nothing would be right every time, since the right option comes first."""
    assert option_accuracy(ToyModel(), [question("a", "b", "c", "d")], tmp_path).value == 0


def test_only_the_segment_with_a_loss_is_exchanged_for_an_option(tmp_path):
    seen = []

    class Recorder(ToyModel):
        def text_losses(self, conversations, folder):
            seen.extend([[segment.value for segment in segments] for segments in conversations])
            return super().text_losses(conversations, folder)

    option_accuracy(Recorder("a"), [question("a", "b", "c", "d")], tmp_path)
    assert seen == [["Where does Bramble live?", option] for option in "abcd"]


def test_the_nll_is_a_mean_over_tokens_not_over_replies(tmp_path):
    items = [question("ten tokens"), question("xx")]
    found = held_out_nll(ToyModel("ten tokens"), items, tmp_path)
    assert found.value == pytest.approx((10 * 0.5 + 2 * 2.0) / 12)
    assert found.n == 2


def test_many_items_go_through_in_batches(tmp_path):
    model = ToyModel("a")
    held_out_nll(model, [question("a")] * 37, tmp_path)
    assert sum(model.batches) == 37 and max(model.batches) <= 16


def test_the_reference_reply_is_not_shown(inputs):
    for item in read_interactions(inputs["interactions"] / "test.jsonl"):
        if item.kind == "role_play":
            turns = history_of(item)
            assert turns[-1].role == "user" and turns[-1].text == item.prompt
            assert item.target.value not in [turn.text for turn in turns]


@pytest.fixture(scope="module")
def material(model, inputs):
    """(character, test items, folder of their pictures)"""
    kit = CuratedKit.read(inputs["curated_kit"])
    test = read_interactions(inputs["interactions"] / "test.jsonl")
    return (
        Character(model, kit, GenerationConfig(max_reply_tokens=6, max_reasoning_tokens=8)),
        test,
        inputs["curated_kit"],
    )


def test_a_real_model_gets_every_metric(material):
    character, test, folder = material
    style = Style({"bramble": ["Hmph. The light stays on."], "vidor": ["Applaud, dear subject!"]})
    found = measure_text(character, test, folder, style=style, config=TINY["evaluate"])
    assert found.metrics.keys() == {"held_out_nll", "knowledge_accuracy", "vqa_accuracy", "style"}
    assert all(math.isfinite(value.value) for value in found.metrics.values())
    assert 0.5 < found.metrics["held_out_nll"].value < 12
    asked = {item.prompt for item in test if item.kind == "role_play"}
    multimodal_turns = {item.segments[1].value for item in test if item.kind == "thinking"}
    assert len(found.chats) == 1 and set(found.chats) <= asked
    assert len(found.role_plays) == 1 and set(found.role_plays) <= multimodal_turns
    assert found.metrics["style"].n == 2
    again = measure_text(character, test, folder, style=style, config=TINY["evaluate"])
    assert again == found


def test_metrics_without_items_are_left_out(material):
    character, test, folder = material
    few = [dataclasses.replace(item, options=()) for item in test]
    found = measure_text(character, few, folder, style=None, config=TINY["evaluate"])
    assert found.metrics.keys() == {"held_out_nll"}


def test_a_real_model_finds_gibberish_unlikely(model, tmp_path):
    items = [question("in the lighthouse by the sea", "zq xv kj wqz", "]]{{ ;; ##", "vlu vlu vlu gnarx")]
    assert option_accuracy(model, items, tmp_path).value == 1
