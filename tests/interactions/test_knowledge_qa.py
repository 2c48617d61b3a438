"""Knowledge questions: trained facts in untrained wordings, with distractors that are fair."""

import re

from factories_interactions import make_context, of

from unichar.interactions.config import InteractionsConfig
from unichar.interactions.knowledge_qa import knowledge_qa
from unichar.interactions.wording import normalise
from unichar.types import Fact


def test_trained_facts_are_tested_in_untrained_wordings(kit, tmp_path):
    config = InteractionsConfig(num_knowledge_wordings=3)
    items = knowledge_qa(make_context(tmp_path, config=config, **vars(kit)))
    train, test = of(items, "knowledge_qa", "train"), of(items, "knowledge_qa", "test")
    assert len(train) == 3 * len(kit.facts)

    trained = {(item.group, item.target.value) for item in train}
    assert test
    for item in test:
        assert (item.group.removesuffix("/paraphrase"), item.target.value) in trained
        assert item.options[0] == item.target.value
        assert kit.name in item.prompt or re.search(r"\byou", item.prompt)

        options = [f" {normalise(option)} " for option in item.options]
        assert len(options) == 4
        assert not [1 for a in options for b in options if a is not b and a in b]


def test_distractors_are_of_the_same_type(tmp_path):
    places = [
        Fact(question=f"Where is Bramble's {n}?", answer=f"in the {n} shed", evidence=f"It is {n}.")
        for n in ("oar", "cup", "map", "net")
    ]
    numbers = [
        Fact(question=f"How many {n} are there?", answer=answer, evidence=f"{answer} {n}.")
        for n, answer in (("oars", "three"), ("cups", "nine"))
    ]
    items = knowledge_qa(make_context(tmp_path, facts=(*places, *numbers)))
    asked = next(item for item in of(items, "knowledge_qa", "test") if "oar?" in item.prompt)
    assert all(option.endswith("shed") for option in asked.options)


def test_a_kit_with_too_few_facts_has_no_unfair_questions(tmp_path):
    facts = tuple(
        Fact(question=f"What is {n}?", answer="tea", evidence=f"{n} is tea.")
        for n in ("one", "two", "three", "four")
    )
    items = knowledge_qa(make_context(tmp_path, facts=facts))
    assert items and of(items, "knowledge_qa", "test") == []


def test_yes_or_no_is_never_an_option(tmp_path):
    facts = tuple(
        Fact(question=f"Does Bramble own a {n}?", answer=answer, evidence=f"{n}.")
        for n, answer in (
            ("car", "No"),
            ("boat", "Yes"),
            ("kite", "No"),
            ("lamp", "Yes"),
            ("bell", "a big one"),
        )
    )
    assert of(knowledge_qa(make_context(tmp_path, facts=facts)), "knowledge_qa", "test") == []


def test_two_wordings_of_one_answer_are_never_options_of_one_question(tmp_path):
    told = (
        "a quiet place by the sea to read old maps",
        "a very quiet place by the sea to read her old maps",
        "tea",
        "gulls",
        "rope",
    )
    facts = tuple(
        Fact(question=f"What is wish {n}?", answer=answer, evidence=f"Wish {n}.")
        for n, answer in enumerate(told)
    )
    tested = of(knowledge_qa(make_context(tmp_path, facts=facts)), "knowledge_qa", "test")
    assert tested
    for item in tested:
        assert sum("old maps" in option for option in item.options) <= 1
