"""The model card: it states decision, origin, rights and numbers, and no kit can write markup into it."""

from typing import Any

import pytest
from factories_evaluation import make_gate_arms

from unichar.kit.schema import KitSheet, RightsSheet
from unichar.release.config import ReleaseConfig
from unichar.release.model_card import model_card
from unichar.release.rules import decide

EVIL = "<script>alert(1)</script> [x](http://evil) ![y](z) `code` **b** | # title {{ 7*7 }} {% raw %}"


def card_of(report: dict[str, Any], **sheet: Any) -> str:
    return model_card(report, decide(report["arms"], ReleaseConfig()), KitSheet(**sheet), checkpoint="3f2a")


def test_a_table_row_has_every_arm_and_a_dash_for_what_was_not_measured() -> None:
    arms = make_gate_arms(style=None)
    card = card_of({"character": "pip", "arms": arms}, name="Pip")
    table = card[card.index("| metric |") :].splitlines()
    assert table[:2] == ["| metric | base | grpo |", "| --- | --- | --- |"]
    assert table[2] == "| identity | 0.300 [0.250, 0.350] n=16 | 0.900 [0.850, 0.950] n=16 |"
    assert "| style | 0.200 [0.150, 0.250] n=16 | – |" in table
    assert "| copying | 0.000 [-0.050, 0.050] n=16 | 0.100 [0.050, 0.150] n=16 |" in table


def test_rules_that_hold_are_apart_from_rules_that_could_not_be_compared() -> None:
    card = card_of({"character": "pip", "arms": make_gate_arms(style=None)})
    assert "- holds: held_out_nll is 2.500; it must be at most 4.500" in card
    assert "- not compared: style was not measured for grpo" in card


def test_rights_that_were_not_stated_are_left_out() -> None:
    rights = RightsSheet(basis="original", holder="Ada & Sons")
    card = card_of({"character": "pip", "arms": make_gate_arms()}, rights=rights)
    assert "- basis: original\n- holder: Ada &amp; Sons\n\nUse it within" in card


def test_a_report_without_base_and_data_says_unknown() -> None:
    card = card_of({"character": "pip", "arms": make_gate_arms()})
    assert card.startswith("# pip\n")
    assert "adapters on the base unknown, sha256 unknown" in card
    assert "an unknown number of pictures and an unknown number of interactions" in card


def test_words_of_a_kit_never_become_markup() -> None:
    report = {
        "character": "pip",
        "base": {"name": EVIL, "sha256": EVIL},
        "arms": make_gate_arms(),
        "data": {"images": 8, "interactions": {EVIL: 1}},
    }
    rights = RightsSheet(basis="original", holder=EVIL)
    card = card_of(report, description=f"- {EVIL}", name="# Pip\n\n## Evil", rights=rights)
    for markup in ("<script>", "](http", "**b**", "http://", " `code", " 49"):
        assert markup not in card
    assert card.startswith("# \\# Pip \\#\\# Evil\n")
    assert "\n- \\<" not in card and "\n\\- &lt;script&gt;" in card
    assert card.count("alert(1)") == 5


@pytest.mark.parametrize("name", ["basis", "holder", "consent", "note"])
def test_every_field_of_the_rights_is_shown(name: str) -> None:
    card = card_of({"arms": make_gate_arms()}, rights=RightsSheet(**{name: "as agreed"}))
    assert f"- {name}: as agreed\n" in card
