"""A voice is heard from the kit: what a character never does, composed replies do not do either."""

import random
from pathlib import Path

import pytest
from factories_interactions import BRAMBLE_PERSONA, count_vidor, make_curated_kit

from unichar.interactions import phrases
from unichar.interactions.phrases import plain
from unichar.interactions.style_profile import TEMPERAMENTS, hear
from unichar.types import Exchange, Persona


def test_a_voice_is_measured_in_the_characters_own_lines(tmp_path):
    voice = hear(make_curated_kit(tmp_path))
    assert voice.temperaments[0] == "grumpy"
    assert "Hmph." in voice.openers
    assert voice.address == "sailor"
    assert not voice.contracts
    assert list(voice.closers) == ["The light stays on."]


def test_composed_sentences_take_the_voice_on(tmp_path):
    voice = hear(make_curated_kit(tmp_path))
    own = voice.own("I'm fond of tea!")
    assert own == "I am fond of tea."
    spoken = [voice.speak(own, random.Random(seed)) for seed in range(40)]
    assert any(text.startswith("Hmph. ") for text in spoken)
    assert any("tea, sailor." in text for text in spoken)
    assert any(text.endswith(" The light stays on.") for text in spoken)
    assert len(set(spoken)) > 3


def test_who_speaks_by_name_never_says_i(tmp_path):
    voice = hear(make_curated_kit(tmp_path, **count_vidor()))
    assert voice.says_i == "name"
    assert voice.pronoun == "he"
    assert voice.own("I'm tired, and I know it.") == "Vidor is tired, and Vidor knows it."


def test_yes_is_said_the_characters_way(tmp_path):
    dialogues = tuple(
        Exchange(user=f"Ready {n}?", reply=f"Aye, ready as number {n} can be, I say.") for n in range(4)
    )
    assert hear(make_curated_kit(tmp_path, dialogues=dialogues)).own("Yes. I do.") == "Aye. I do."


def test_a_kit_that_tells_nothing_has_a_plain_voice(tmp_path):
    silent = Persona(traits=(), style="", speech_habits=(), catchphrases=(), likes=(), dislikes=())
    voice = hear(make_curated_kit(tmp_path, persona=silent, dialogues=(), opening="", pictures=()))
    assert voice.temperaments == ("plain",)
    assert (voice.openers, voice.closers, voice.address) == ({}, {}, "")
    assert voice.speak("I like tea.", random.Random(0)) == "I like tea."


@pytest.mark.parametrize("name", [*TEMPERAMENTS, "plain"])
def test_every_temperament_speaks_on_every_topic(name):
    module = TEMPERAMENTS.get(name, plain)
    assert set(module.REPLIES) == set(plain.REPLIES)
    assert all(len(set(replies)) == len(replies) >= 2 for replies in module.REPLIES.values())


def test_no_temperament_file_is_forgotten():
    files = {path.stem for folder in phrases.__path__ for path in Path(folder).glob("[a-z]*.py")}
    assert files == {*TEMPERAMENTS, "plain"}


def test_the_strongest_traits_set_the_temperament(tmp_path):
    persona = Persona(**{**vars(BRAMBLE_PERSONA), "traits": ("shy", "timid", "kind"), "style": ""})
    assert hear(make_curated_kit(tmp_path, persona=persona)).temperaments[0] == "shy"
