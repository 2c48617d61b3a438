"""Questions about pictures: toons are asked for exact words, photographs only for what is known."""

from factories_interactions import make_context, nia_the_photographer, of

from unichar.domains.toon.vocabulary import ATTRIBUTES
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.visual_qa import visual_qa


def test_toons_are_asked_for_exact_words(tmp_path):
    tested = of(visual_qa(make_context(tmp_path)), "visual_qa", "test")
    assert tested
    for item in tested:
        assert len(set(item.options)) == 4
        assert item.options[0] == item.target.value
        if item.form != "name":
            assert set(item.options) <= set(ATTRIBUTES[item.form])


def test_photographs_are_asked_only_for_what_captions_say(tmp_path):
    context = make_context(tmp_path, **nia_the_photographer())
    answers = {item.target.value for item in visual_qa(context)}
    assert answers <= {"Nia", "Yes", "No"} | {picture.caption for picture in context.kit.pictures}


def test_the_picture_stands_before_the_question(kit, tmp_path):
    for item in visual_qa(make_context(tmp_path, **vars(kit))):
        picture = kit.pictures[int(item.group.removeprefix("picture-"))]
        assert [segment.type for segment in item.segments] == ["image", "text", "text"]
        assert (item.segments[0].value, item.split) == (picture.image, picture.split)
        assert item.split == "test" or not item.options


def test_more_wordings_make_more_training_samples(tmp_path):
    numbers = []
    for wordings in (1, 3):
        items = visual_qa(make_context(tmp_path, config=InteractionsConfig(num_visual_wordings=wordings)))
        numbers.append([len(of(items, "visual_qa", split)) for split in ("train", "test")])
    assert numbers[0][0] < numbers[1][0]
    assert numbers[0][1] == numbers[1][1]
