"""A model playing one character: replies, answers, plans and pictures, by the prompts it was trained on."""

import numpy as np
import pytest
from factories_interactions import make_curated_kit
from factories_model import make_album
from PIL import Image

from unichar.interactions.prompts import REASONING_REQUEST, character_card, scene_prompt
from unichar.kit.images import UnusablePicture
from unichar.model.character import Character, GenerationConfig
from unichar.model.protocol import Turn

QUICK = GenerationConfig(steps=2, max_reply_tokens=6, max_reasoning_tokens=6)


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return make_curated_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def actor(model, kit):
    return Character(model, kit, QUICK)


class Scribe:
    """A model that writes down what it is asked and answers what it was told to."""

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, []

    def reply(self, conversations, *, max_tokens, temperature, seed):
        self.asked += conversations
        return [self.answer] * len(conversations)


def test_a_reply_is_asked_for_as_in_training(kit):
    scribe = Scribe("Hmph.")
    history = [
        Turn(role="user", text="Hello!"),
        Turn(role="assistant", text="Hmph."),
        Turn(role="user", text="And now?"),
    ]
    assert Character(scribe, kit, QUICK).reply(history) == "Hmph."
    card = Turn(
        role="system", text=character_card(name=kit.name, description=kit.description, opening=kit.opening)
    )
    assert scribe.asked == [[card, *history]]


def test_a_picture_precedes_the_text_about_it_and_nothing_is_left_out(kit):
    scribe, image = Scribe("Hmph."), make_album(1).images[0]
    history = [
        Turn(role="user", text="Hello!"),
        Turn(role="assistant", text="Hmph."),
        Turn(role="user", text="Look!"),
    ]
    Character(scribe, kit, QUICK).reply(history, image=image)
    assert [(turn.role, turn.text, turn.image is image) for turn in scribe.asked[0][1:]] == [
        ("user", "Hello!", False),
        ("assistant", "Hmph.", False),
        ("user", "", True),
        ("user", "Look!", False),
    ]


def test_a_plan_is_read_from_what_the_model_writes(kit):
    scribe = Scribe("<think>It is cold.</think>\n<gen>Bramble, sad, in the snow.</gen>")
    assert Character(scribe, kit, QUICK).reasoning("Cold?", "Hmph.") == (
        "It is cold.",
        "Bramble, sad, in the snow.",
    )
    assert scribe.asked[0][-1].text == REASONING_REQUEST


def test_several_are_asked_at_once_and_as_one_by_one(actor):
    users = ["Cold?", "What is a lighthouse, and who lives in it?"]
    histories = [[Turn(role="user", text=user)] for user in users]
    replies = actor.replies(histories, seed=2)
    assert replies == [actor.reply(history, seed=2) for history in histories]
    exchanges = list(zip(users, replies, strict=True))
    assert actor.reasonings(exchanges, seed=2) == [
        actor.reasoning(*exchange, seed=2) for exchange in exchanges
    ]


def test_a_picture_may_have_any_shape_but_must_have_something_to_see(actor):
    for size in ((16, 900), (700, 33), (300, 300)):
        assert isinstance(actor.answer(Image.new("RGBA", size, (9, 9, 9, 99)), "What do you see?"), str)
    with pytest.raises(UnusablePicture, match="is 9 x 40 pixels"):
        actor.answer(Image.new("RGB", (9, 40)), "What do you see?")
    with pytest.raises(UnusablePicture, match="is 9 x 40 pixels"):
        actor.reply([Turn(role="user", text="Look!")], image=Image.new("RGB", (9, 40)))


def test_a_picture_can_be_drawn_in_another_manner(actor):
    usual = actor.draw("Bramble in the snow.", seed=4)[0]
    assert (
        actor.draw("Bramble in the snow.", seed=4, steps=2, guidance=QUICK.guidance)[0].tobytes()
        == usual.tobytes()
    )
    for other in ({"steps": 3}, {"guidance": 1.0}):
        assert actor.draw("Bramble in the snow.", seed=4, **other)[0].tobytes() != usual.tobytes()


def test_without_a_usable_plan_there_is_none(kit):
    assert Character(Scribe("I would rather not."), kit, QUICK).reasoning("Cold?", "Hmph.") == ("", "")


def test_a_moment_is_drawn_from_the_prompt_of_training(actor, kit):
    moment = {"user": "Cold?", "reply": "Hmph.", "thinking": "Snow.", "instruction": "Bramble in the snow."}
    assert actor.scene_prompt(*moment.values()) == scene_prompt(
        name=kit.name, description=kit.description, **moment
    )


def test_a_picture_is_the_same_however_many_are_drawn(actor):
    one, again = (actor.draw("Bramble, sad, in the snow.", count=1, seed=4)[0] for _ in range(2))
    three = actor.draw("Bramble, sad, in the snow.", count=3, seed=4)
    assert one.size == (128, 128) and one.tobytes() == again.tobytes()
    assert np.abs(np.asarray(one, float) - np.asarray(three[0], float)).mean() < 3
    assert np.abs(np.asarray(three[1], float) - np.asarray(three[0], float)).mean() > 5


def test_a_real_model_plays_a_whole_moment(actor):
    play = actor.role_play("Is the harbour frozen?", seed=1)
    assert play.reply and play.picture.size == (128, 128)
    assert actor.role_play("Is the harbour frozen?", think=False, seed=1).instruction == ""


def test_a_picture_can_be_asked_about(actor):
    assert isinstance(actor.answer(make_album(1).images[0], "What do you see?"), str)
