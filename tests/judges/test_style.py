"""Style: which character of the cast said it?"""

import pytest
from factories_interactions import BRAMBLE_DIALOGUES, BRAMBLE_TURNS

from unichar.judges.style import Style

BRAMBLE = [turn[-1] for turn in BRAMBLE_TURNS] + [exchange.reply for exchange in BRAMBLE_DIALOGUES]
VIDOR = [
    "Vidor permits you to enter, dear subject. Applaud!",
    "Vidor does not clap. Vidor is clapped for.",
    "The moths have returned. Vidor shall receive nobody until they are gone, dear subject.",
    "You may look upon the velvet. You may not touch it. Vidor has finished.",
    "A draught! Close that door, dear subject, before Vidor loses his voice.",
    "Vidor owns eleven capes and mends none of them. Applaud!",
]


@pytest.fixture(scope="module")
def style():
    return Style({"bramble": BRAMBLE[:-4], "vidor": VIDOR[:-2]})


def test_unseen_words_of_both_are_told_apart(style):
    assert all(style.score("bramble", reply) > 0.8 for reply in BRAMBLE[-4:])
    assert all(style.score("vidor", reply) > 0.8 for reply in VIDOR[-2:])
    assert all(style.score("vidor", reply) < 0.2 for reply in BRAMBLE[-4:])


def test_probabilities_of_the_cast_sum_to_one(style):
    for reply in ("Hmph. Vidor!", "x", VIDOR[0] * 20):
        assert style.score("bramble", reply) + style.score("vidor", reply) == pytest.approx(1)


def test_words_without_evidence_give_even_odds(style):
    assert style.score("bramble", "") == pytest.approx(0.5, abs=0.05)
    assert style.score("bramble", "漢字") == pytest.approx(0.5, abs=0.05)


def test_talking_more_does_not_make_a_guess_certain(style):
    """Neighbouring grams repeat each other, so evidence is divided by length."""
    plain = "It is a nice day today and I would like to go for a walk in the park."
    assert 0.01 < style.score("bramble", plain) < 0.99


def test_more_characters_lower_the_chance_level():
    cast = Style({"bramble": BRAMBLE, "vidor": VIDOR, "third": ["Beep. Boop."], "fourth": ["Oh là là !"]})
    assert cast.score("bramble", "Hmph. Mind the steps, sailor.") > 0.5


def test_a_cast_of_one_is_refused():
    with pytest.raises(ValueError, match="at least two characters"):
        Style({"bramble": BRAMBLE})
