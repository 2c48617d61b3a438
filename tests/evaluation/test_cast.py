"""The cast: replies of the kits beside a character's own, and the classifier over them."""

import pytest
from factories_evaluation import write_kit
from factories_interactions import make_curated_kit

from unichar.evaluation.cast import cast_replies, style_classifier


def test_a_cast_is_every_kits_replies_without_the_held_out_scenes(tmp_path):
    write_kit(
        tmp_path / "wisp",
        [{"user": "a", "reply": "Ooh."}, {"user": "b", "reply": "Secret.", "held_out": True}],
        [{"user": "c", "reply": "Whee."}],
    )
    write_kit(tmp_path / "abel", [{"user": "a", "reply": "Yes."}])
    (tmp_path / "notes.txt").write_text("not a kit")
    assert cast_replies(tmp_path) == {"abel": ["Yes."], "wisp": ["Ooh.", "Whee."]}


@pytest.mark.parametrize("broken", ['{"user": "a", "rep', "[]", '{"user": "a"}', "\ufeff", "\x00\xff"])
def test_an_unreadable_kit_is_left_out(tmp_path, broken):
    write_kit(tmp_path / "abel", [{"user": "a", "reply": "Yes."}])
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "scenes.jsonl").write_text(broken)
    (tmp_path / "empty").mkdir()
    assert cast_replies(tmp_path) == {"abel": ["Yes."]}


def test_hidden_folders_and_a_missing_one_hold_no_cast(tmp_path):
    write_kit(tmp_path / ".copying-abel", [{"user": "a", "reply": "Yes."}])
    assert cast_replies(tmp_path) == cast_replies(tmp_path / "absent") == {}


def test_style_needs_somebody_to_compare_with(tmp_path):
    kit = make_curated_kit(tmp_path)
    assert style_classifier(kit, {}) is None
    assert style_classifier(kit, {kit.id: ["Hmph."]}) is None
    assert style_classifier(kit, {"vidor": ["Applaud!"]}) is not None


def test_the_characters_own_class_is_its_training_replies(tmp_path):
    kit = make_curated_kit(tmp_path)
    style = style_classifier(kit, {"vidor": ["Applaud, dear subject!"], kit.id: ["Quizzical zephyrs vex."]})
    assert style is not None
    assert style.score(kit.id, kit.split("train")[0].reply) > 0.8
    assert style.score(kit.id, "Quizzical zephyrs vex.") == pytest.approx(0.5, abs=0.35)
