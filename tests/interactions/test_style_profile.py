"""The style profile is measured in the kit: composed replies do nothing that the character never does."""

import random

import pytest
from factories_interactions import BRAMBLE_PERSONA, count_vidor, make_curated_kit

from unichar.interactions.phrase_banks import phrase_banks
from unichar.interactions.style_profile import extract_style
from unichar.types import Exchange, Persona


def persona_of(**values: object) -> Persona:
    """Bramble's persona with other fields."""
    return Persona(**{**vars(BRAMBLE_PERSONA), **values})


def test_a_style_is_measured_in_the_characters_own_lines(tmp_path):
    style = extract_style(make_curated_kit(tmp_path))
    assert style.banks[0] == "grumpy"
    assert "Hmph." in style.openers
    assert style.address == "sailor"
    assert not style.contracts
    assert list(style.closers) == ["The light stays on."]


def test_composed_sentences_take_the_style_on(tmp_path):
    style = extract_style(make_curated_kit(tmp_path))
    own = style.restyle("I'm fond of tea!")
    assert own == "I am fond of tea."

    decorated = [style.decorate(own, random.Random(seed)) for seed in range(40)]
    assert any(text.startswith("Hmph. ") for text in decorated)
    assert any("tea, sailor." in text for text in decorated)
    assert any(text.endswith(" The light stays on.") for text in decorated)
    assert len(set(decorated)) > 3


def test_who_speaks_by_name_never_says_i(tmp_path):
    style = extract_style(make_curated_kit(tmp_path, **count_vidor()))
    assert style.self_reference == "name"
    assert style.pronoun == "he"
    assert style.restyle("I'm tired, and I know it.") == "Vidor is tired, and Vidor knows it."


def test_who_drops_the_i_leaves_it_out(tmp_path):
    persona = persona_of(speech_habits=('drops "I" at the start of sentences',))
    style = extract_style(make_curated_kit(tmp_path, persona=persona))
    assert style.self_reference == "none"
    assert style.restyle("I've seen it.") == "Seen it."
    assert style.restyle("You and I know better.") is None


def test_yes_is_said_the_characters_way(tmp_path):
    dialogues = tuple(
        Exchange(user=f"Ready {n}?", reply=f"Aye, ready as number {n} can be, I say.") for n in range(4)
    )
    style = extract_style(make_curated_kit(tmp_path, dialogues=dialogues))
    assert style.restyle("Yes. I do.") == "Aye. I do."


def test_a_kit_that_tells_nothing_has_a_plain_style(tmp_path):
    silent = Persona(traits=(), style="", speech_habits=(), catchphrases=(), likes=(), dislikes=())
    style = extract_style(make_curated_kit(tmp_path, persona=silent, dialogues=(), opening="", pictures=()))
    assert style.banks == ("plain",)
    assert (style.openers, style.closers, style.address) == ({}, {}, "")
    assert style.decorate("I like tea.", random.Random(0)) == "I like tea."


@pytest.mark.parametrize(
    ("traits", "banks"),
    [
        (("shy", "timid", "kind"), ("shy",)),
        (("brave",), ("bold",)),
        (("tall", "left-handed"), ("plain",)),
        (("grumpy", "cheerful"), ("grumpy", "sunny")),
    ],
)
def test_the_strongest_traits_select_the_phrase_banks(tmp_path, traits, banks):
    kit = make_curated_kit(tmp_path, persona=persona_of(traits=traits, style=""))
    assert extract_style(kit).banks == banks


def test_replies_of_the_better_fitting_bank_come_first(tmp_path):
    kit = make_curated_kit(tmp_path, persona=persona_of(traits=("grumpy", "cheerful"), style=""))
    first, second = phrase_banks()["grumpy"], phrase_banks()["sunny"]
    assert extract_style(kit).replies("mood") == [*first.replies["mood"], *second.replies["mood"]]


def test_an_exclamation_is_no_opening_where_it_does_not_fit(tmp_path):
    dialogues = tuple(Exchange(user=f"And {n}?", reply=f"Hooray! Number {n} is mine!") for n in range(6))
    kit = make_curated_kit(tmp_path, dialogues=dialogues, pictures=(), opening="")
    style = extract_style(kit)
    assert style.openers == {"Hooray!": 1.0}

    decorated = [style.decorate("That is sad.", random.Random(seed), excitement=0.0) for seed in range(20)]
    assert not any("Hooray" in text for text in decorated)
