"""Conversations: the kit's own word for word, composed ones that differ, and a split by topic."""

from factories_interactions import count_vidor, make_context, make_curated_kit, toon_pictures

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.leaks import user_inputs
from unichar.interactions.role_play import role_play
from unichar.interactions.synthesize import compose
from unichar.interactions.wording import normalise
from unichar.types import Exchange, Interaction

COMPOSED = ("fact", "taste", "small_talk")


def singles(items: list[Interaction]) -> list[Interaction]:
    """Items of one exchange without a picture."""
    return [item for item in items if item.form not in ("grounded", "two_turns")]


def test_composed_replies_are_short_and_differ(kit, tmp_path):
    items = role_play(make_context(tmp_path, **vars(kit)))
    replies = [normalise(item.target.value) for item in items if item.form in COMPOSED]
    assert len(set(replies)) == len(replies)
    assert sum(len(reply.split()) for reply in replies) / len(replies) < 25


def test_the_kits_own_exchanges_are_kept_word_for_word(tmp_path):
    context = make_context(tmp_path)
    said = {(item.prompt, item.target.value) for item in role_play(context)}
    assert {(exchange.user, exchange.reply) for exchange in context.kit.dialogues} <= said
    assert {(picture.user, picture.reply) for picture in context.kit.pictures} <= said


def test_a_conversation_opens_with_the_card_and_only_the_last_reply_is_learned(kit):
    items, _ = compose(kit, InteractionsConfig(), 0)
    for item in items:
        if item.kind in ("role_play", "thinking"):
            assert item.segments[0].role == "system"
            assert kit.description in item.segments[0].value
            assert [segment.loss for segment in item.segments] == [False] * (len(item.segments) - 1) + [True]

    forms = {item.form for item in items if item.kind == "role_play"}
    assert {"scene", "grounded", "two_turns", *COMPOSED} <= forms
    assert all(item.segments[1].type == "image" for item in items if item.form == "grounded")


def test_the_test_share_is_kept_by_topic_and_refusals_are_always_trained(tmp_path):
    items = singles(role_play(make_context(tmp_path, config=InteractionsConfig(test_share=0.2))))
    tested = [item for item in items if item.split == "test"]
    assert 0.14 < len(tested) / len(items) <= 0.21
    assert {"talk-ai", "talk-act", "talk-greeting"} <= {i.group for i in items if i.split == "train"}
    assert not [item for item in tested if item.form == "fact"]


def test_a_topic_stays_in_one_split(tmp_path):
    items = role_play(make_context(tmp_path))
    train, test = ({item.group for item in items if item.split == split} for split in ("train", "test"))
    assert train and test and not train & test


def test_training_gives_way_where_the_kit_repeats_a_held_out_turn(tmp_path):
    held_out = toon_pictures()[-1]
    repeated = Exchange(user=held_out.user.upper(), reply="Hmph. Again?")
    items = role_play(make_context(tmp_path, dialogues=(repeated,)))
    asked = normalise(held_out.user)
    assert not [item for item in items if item.split == "train" and asked in user_inputs(item)]
    assert [item for item in items if item.split == "test" and asked in user_inputs(item)]


def test_a_kit_with_plenty_of_its_own_still_trains_refusals(tmp_path):
    plenty = tuple(
        Exchange(user=f"What is number {n}?", reply=f"Hmph. Number {n} is none of my business.")
        for n in range(250)
    )
    config = InteractionsConfig(num_role_play=100)
    items = singles(role_play(make_context(tmp_path, dialogues=plenty, config=config)))
    assert len(items) == 250 + 7 + 5
    assert {item.group for item in items if item.form == "small_talk"} == {
        "talk-ai",
        "talk-act",
        "talk-errand",
        "talk-greeting",
        "talk-name",
    }


def test_two_turns_are_about_two_topics_of_one_split(tmp_path):
    items = role_play(make_context(tmp_path, config=InteractionsConfig(multi_turn_share=0.5)))
    group_of = {item.prompt: (item.group, item.split) for item in singles(items)}
    twice = [item for item in items if item.form == "two_turns"]
    assert twice
    for item in twice:
        first, last = (segment.value for segment in item.segments if segment.role == "user")
        assert group_of[first][0] != group_of[last][0]
        assert group_of[first][1] == group_of[last][1] == item.split


def test_two_characters_can_be_told_apart(tmp_path):
    bramble = role_play(make_context(tmp_path / "bramble"))
    vidor = role_play(make_context(tmp_path / "vidor", **count_vidor()))
    said = [{normalise(i.target.value) for i in items if i.form in COMPOSED} for items in (bramble, vidor)]
    assert all(said) and not said[0] & said[1]


def test_grounded_items_are_as_many_as_asked_for(tmp_path):
    kit = make_curated_kit(tmp_path)
    for number in (0, 2):
        items = role_play(make_context(tmp_path, config=InteractionsConfig(num_grounded=number)))
        assert len([item for item in items if item.form == "grounded"]) == number * len(kit.pictures)
