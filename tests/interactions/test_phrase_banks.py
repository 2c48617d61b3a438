"""Phrase banks: every file covers every topic, and a wrong file is refused by name and key."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from unichar.interactions import phrase_banks as module
from unichar.interactions.phrase_banks import (
    BANKS,
    FALLBACK,
    SMALL_TALK,
    phrase_banks,
    read_bank,
    user_texts,
)

FOLDER = Path(module.__file__).parent


@pytest.mark.parametrize("name", [*BANKS, FALLBACK])
def test_every_bank_has_at_least_two_replies_to_every_topic(name: str) -> None:
    bank = phrase_banks()[name]
    assert bank.name == name
    assert list(bank.replies) == list(user_texts())
    assert all(len(set(replies)) == len(replies) >= 2 for replies in bank.replies.values())


def test_no_bank_file_is_forgotten() -> None:
    assert {path.stem for path in (FOLDER / "phrases").iterdir()} == {*BANKS, FALLBACK}


def test_only_the_fallback_has_no_signs() -> None:
    assert [name for name, bank in phrase_banks().items() if not bank.signs] == [FALLBACK]


def test_small_talk_is_drawn_in_the_order_of_the_file() -> None:
    # The order decides random draws: a seed must give the same interactions.
    assert tuple(user_texts())[: len(SMALL_TALK)] == SMALL_TALK


def changed(**values: object) -> dict:
    """The plain bank's content with other values at its top level."""
    content = yaml.safe_load((FOLDER / "phrases" / "plain.yaml").read_text(encoding="utf-8"))
    return content | values


def with_reply(topic: str, listed: object) -> dict:
    """The plain bank's content with other replies to one topic."""
    content = changed(signs=["plain"])
    return content | {"replies": content["replies"] | {topic: listed}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["a", "list"], "the top level is list; expected a mapping"),
        ({"signs": ["shy"]}, "the top level lacks replies"),
        (changed(signs=["shy"], colour="red"), "the top level has the unknown key colour"),
        (changed(), "signs is \\[\\]; expected a list of texts"),
        (changed(signs=["shy", "shy"]), "signs holds 'shy' twice"),
        (changed(signs=["shy"], replies={"greeting": ["Hi."]}), "replies lacks .*farewell"),
        (with_reply("weather", ["Wet."]), "replies has the unknown key weather"),
        (with_reply("mood", []), "replies.mood is \\[\\]; expected a list of texts"),
        (with_reply("mood", "Fine."), "replies.mood is 'Fine.'; expected a list of texts"),
        (with_reply("mood", ["Fine.", "  "]), "replies.mood holds '  '; expected a non-empty text"),
        (with_reply("mood", [True]), "replies.mood holds True; expected a non-empty text in quotes"),
        (
            with_reply("mood", ["{fact}"]),
            "replies.mood: '{fact}' has the unknown slot {fact}; allowed: dislike, like",
        ),
        (with_reply("picture", ["Me, {name}!"]), "replies.picture: .* unknown slot {name}; allowed: none"),
    ],
)
def test_a_wrong_bank_is_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"mine\.yaml: {message}"):
        read_bank(path)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read the phrases .*gone\.yaml"):
        read_bank(tmp_path / "gone.yaml")

    (tmp_path / "broken.yaml").write_text("signs: [shy\n")
    with pytest.raises(ValueError, match=r"broken\.yaml is not valid YAML"):
        read_bank(tmp_path / "broken.yaml")


def test_loading_needs_no_torch_and_happens_once() -> None:
    script = (
        "import sys\n"
        "from unichar.interactions.phrase_banks import phrase_banks\n"
        "assert phrase_banks() is phrase_banks()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
