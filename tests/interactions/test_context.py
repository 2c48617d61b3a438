"""The context that every composer reads."""

from factories_interactions import make_context

from unichar.interactions.prompts import character_card


def test_the_card_is_the_system_text_of_the_kit(tmp_path):
    context = make_context(tmp_path, opening="Come in.")
    card = character_card(name="Bramble", description=context.kit.description, opening="Come in.")
    assert (context.card.role, context.card.type, context.card.value) == ("system", "text", card)
    assert not context.card.loss


def test_each_kind_draws_from_a_generator_of_its_own(tmp_path):
    first, again, other = (
        make_context(tmp_path, kind=kind) for kind in ("role_play", "role_play", "visual_qa")
    )
    draws = [context.rng.random() for context in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]
