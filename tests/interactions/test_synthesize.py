"""The whole stage on real kits: what is written, that tests do not leak, and that every text could be printed."""

import dataclasses
import json
import random
import re
import tempfile
from pathlib import Path

import pytest
from factories_interactions import count_vidor, make_curated_kit, nia_the_photographer, toon_pictures

from unichar.domains.toon.captions import scene_phrases
from unichar.domains.toon.vocabulary import ATTRIBUTES, SCENE
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.leaks import leaks, user_inputs
from unichar.interactions.prompts import parse_reasoning
from unichar.interactions.synthesize import LeakyInteractions, compose, run
from unichar.interactions.wording import flaws, normalise
from unichar.types import CuratedKit, Exchange, Fact, StageJob, read_interactions

KITS = {"bramble": dict, "vidor": count_vidor, "nia": nia_the_photographer}


@pytest.fixture(params=KITS)
def kit(request, tmp_path) -> CuratedKit:
    return make_curated_kit(tmp_path / "kit", **KITS[request.param]())


def of(items, kind, split):
    return [item for item in items if (item.kind, item.split) == (kind, split)]


def job(tmp_path, kit_folder, seed=0, **settings) -> StageJob:
    out = Path(tempfile.mkdtemp(dir=tmp_path))
    config = InteractionsConfig(**settings)
    return StageJob(
        character="x",
        config=config,
        seed=seed,
        inputs={"curated_kit": kit_folder},
        base=out,
        scratch=out,
        out=out,
    )


def test_run_writes_both_splits_a_preview_and_the_counts(tmp_path):
    make_curated_kit(tmp_path / "kit")
    this = job(tmp_path, tmp_path / "kit")
    counts = run(this)
    train, test = read_interactions(this.out / "train.jsonl"), read_interactions(this.out / "test.jsonl")
    assert (len(train), len(test)) == (counts["train"], counts["test"])
    assert (
        {item.kind for item in train}
        == {item.kind for item in test}
        == {"role_play", "thinking", "portrait", "visual_qa", "knowledge_qa"}
    )
    assert counts["train_role_play"] == len(of(train, "role_play", "train")) >= 150
    assert len({item.id for item in train + test}) == len(train + test)
    assert "## role_play, train: " in (this.out / "preview.md").read_text()


def test_the_seed_decides_every_byte(tmp_path):
    make_curated_kit(tmp_path / "kit")
    once, again, other = (job(tmp_path, tmp_path / "kit", seed=seed) for seed in (7, 7, 8))
    for this in (once, again, other):
        run(this)
    for name in ("train.jsonl", "test.jsonl", "preview.md"):
        assert (once.out / name).read_bytes() == (again.out / name).read_bytes()
        assert (once.out / name).read_bytes() != (other.out / name).read_bytes()


def test_nothing_leaks(kit):
    items, _ = compose(kit, InteractionsConfig(), 3)
    train = [item for item in items if item.split == "train"]
    test = [item for item in items if item.split == "test"]
    assert leaks(train, test) == []
    assert not {text for i in train for text in user_inputs(i)} & {
        text for i in test for text in user_inputs(i)
    }
    assert not {i.group for i in train} & {i.group for i in test}
    held_out = {picture.image for picture in kit.split("test")}
    assert not held_out & {s.value for i in train for s in i.segments}


def test_a_leak_is_found_in_any_dress(tmp_path):
    items, _ = compose(make_curated_kit(tmp_path), InteractionsConfig(), 0)
    train = [item for item in items if item.split == "train"]
    asked = train[0].prompt
    shouted = dataclasses.replace(train[0].segments[1], value=f"“{asked.upper()}”  !!")
    copy = dataclasses.replace(train[0], id="copy", split="test", group="elsewhere", segments=(shouted,))
    assert any("user input" in offence for offence in leaks(train, [copy]))
    assert any(
        "group" in offence
        for offence in leaks(train, [dataclasses.replace(copy, group=train[0].group, segments=())])
    )


def test_a_picture_in_both_splits_is_refused(tmp_path):
    first, *rest = toon_pictures()
    twin = dataclasses.replace(rest[-1], image=first.image)
    kit = make_curated_kit(tmp_path, pictures=(first, *rest[:-1], twin))
    with pytest.raises(LeakyInteractions, match="keep each in one split"):
        compose(kit, InteractionsConfig(), 0)


def test_training_gives_way_where_the_kit_repeats_a_held_out_moment(tmp_path):
    held_out = toon_pictures()[-1]
    repeated = Exchange(user=held_out.user.upper(), reply="Hmph. Again?")
    items, _ = compose(make_curated_kit(tmp_path, dialogues=(repeated,)), InteractionsConfig(), 0)
    assert not [i for i in items if i.split == "train" and normalise(held_out.user) in user_inputs(i)]


def test_no_text_is_empty_or_shows_the_composers_hand(kit):
    own = (
        {picture.caption for picture in kit.pictures}
        | {e.reply for e in kit.dialogues}
        | {e.user for e in kit.dialogues}
    )
    for seed in range(3):
        for item in compose(kit, InteractionsConfig(), seed)[0]:
            for segment in item.segments:
                assert segment.value.strip()
                composed = (
                    segment.type == "text"
                    and segment.role != "system"
                    and "Description:" not in segment.value
                )
                if composed and segment.value not in own and "<gen>" not in segment.value:
                    assert flaws(segment.value) == [], segment.value


def test_composed_replies_are_short_and_differ(kit):
    items, _ = compose(kit, InteractionsConfig(), 0)
    single = [i for i in items if i.kind == "role_play" and i.form in ("fact", "taste", "small_talk")]
    replies = [normalise(item.target.value) for item in single]
    assert len(set(replies)) == len(replies)
    assert sum(len(reply.split()) for reply in replies) / len(replies) < 25


def test_the_kits_own_exchanges_are_kept_word_for_word(tmp_path):
    kit = make_curated_kit(tmp_path)
    items, _ = compose(kit, InteractionsConfig(), 0)
    said = {(i.prompt, i.target.value) for i in items if i.kind == "role_play"}
    assert {(e.user, e.reply) for e in kit.dialogues} <= said
    assert {(p.user, p.reply) for p in kit.pictures} <= said


def test_a_conversation_opens_with_the_card_and_only_the_last_reply_is_learned(kit):
    items, _ = compose(kit, InteractionsConfig(), 0)
    for item in [i for i in items if i.kind in ("role_play", "thinking")]:
        assert item.segments[0].role == "system"
        assert kit.description in item.segments[0].value
        assert [s.loss for s in item.segments] == [False] * (len(item.segments) - 1) + [True]
    forms = {i.form for i in items if i.kind == "role_play"}
    assert {"scene", "grounded", "two_turns", "fact", "taste", "small_talk"} <= forms
    assert all(i.segments[1].type == "image" for i in items if i.form == "grounded")


def test_the_test_share_is_kept_by_topic_and_refusals_are_always_practised(tmp_path):
    items, _ = compose(make_curated_kit(tmp_path), InteractionsConfig(test_share=0.2), 0)
    single = [
        i for i in items if i.kind == "role_play" and i.form not in ("grounded", "two_turns", "request")
    ]
    tested = [i for i in single if i.split == "test"]
    assert 0.14 < len(tested) / len(single) <= 0.21
    assert {"talk-ai", "talk-act", "talk-greeting"} <= {i.group for i in single if i.split == "train"}
    assert not [i for i in tested if i.form == "fact"]


def test_a_plan_is_learned_for_every_picture_and_can_be_parsed(kit):
    items, _ = compose(kit, InteractionsConfig(), 0)
    plans = [i for i in items if i.kind == "thinking" and i.form == "plan"]
    assert len(plans) == len(kit.pictures)
    for item, picture in zip(plans, kit.pictures, strict=True):
        thought, instruction = parse_reasoning(item.target.value)
        assert thought
        assert instruction == (picture.instruction or picture.caption)


def test_portraits_have_three_forms_and_exact_captions(tmp_path):
    kit = make_curated_kit(tmp_path)
    items, _ = compose(kit, InteractionsConfig(num_plain_captions=4), 0)
    train = of(items, "portrait", "train")
    for picture in kit.split("train"):
        mine = [i for i in train if i.target.value == picture.image]
        assert sorted(i.form for i in mine) == ["plain"] * 4 + ["scene", "scene_thinking"]
        assert len({normalise(i.prompt) for i in mine}) == 6
        assert all(i.attributes == picture.attributes for i in mine)
    pictured = [i for i in of(items, "portrait", "test") if len(i.segments) > 1]
    assert {i.target.value for i in pictured} == {p.image for p in kit.split("test")}


def test_unseen_scenes_occur_in_no_picture(tmp_path):
    kit = make_curated_kit(tmp_path)
    items, _ = compose(kit, InteractionsConfig(num_unseen_scenes=9), 0)
    unseen = [i for i in items if i.group.startswith("unseen")]
    scenes = [tuple(i.attributes[name] for name in SCENE) for i in unseen]
    assert len(set(scenes)) == 9
    assert not set(scenes) & {tuple(p.attributes[name] for name in SCENE) for p in kit.pictures}
    assert all(
        i.split == "test" and len(i.segments) == 1 and i.attributes["species"] == "bear" for i in unseen
    )


def test_toons_are_asked_for_exact_words_and_photographs_only_for_what_is_known(tmp_path):
    toon, _ = compose(make_curated_kit(tmp_path / "a"), InteractionsConfig(), 0)
    for item in of(toon, "visual_qa", "test"):
        assert len(set(item.options)) == 4
        assert item.options[0] == item.target.value
        if item.form != "name":
            assert set(item.options) <= set(ATTRIBUTES[item.form])
    kit = make_curated_kit(tmp_path / "b", **nia_the_photographer())
    photo, _ = compose(kit, InteractionsConfig(), 0)
    answers = {i.target.value for i in photo if i.kind == "visual_qa"}
    assert answers <= {"Nia", "Yes", "No"} | {p.caption for p in kit.pictures}
    assert not [i for i in photo if i.group.startswith("unseen")]


def test_open_prompts_name_one_or_two_things_and_leave_the_rest_open(tmp_path):
    items, _ = compose(make_curated_kit(tmp_path), InteractionsConfig(num_open_prompts=30), 0)
    asked = [i for i in items if i.form == "open"]
    named = [{name: i.attributes[name] for name in SCENE if name in i.attributes} for i in asked]
    assert len(asked) == 30 and all(
        i.split == "test" and i.kind == "portrait" and len(i.segments) == 1 for i in asked
    )
    assert {len(part) for part in named} == {1, 2} and len({tuple(part.items()) for part in named}) == 30
    assert not any(part.get("prop") == "nothing" for part in named)
    for item, part in zip(asked, named, strict=True):
        spoken = {phrase for seed in range(40) for phrase in scene_phrases(part, random.Random(seed))}
        assert sum(phrase in item.prompt for phrase in spoken) >= len(part)


@pytest.mark.parametrize(("wanted", "given"), [(0, 0), (12, 12), (999, 64)])
def test_photographs_are_tested_in_everyday_scenes_too(tmp_path, wanted, given):
    items, _ = compose(
        make_curated_kit(tmp_path, **nia_the_photographer()), InteractionsConfig(num_open_prompts=wanted), 0
    )
    asked = [i for i in items if i.form == "open"]
    assert len(asked) == len({i.prompt for i in asked}) == len({i.group for i in asked}) == given
    assert all(i.split == "test" and len(i.segments) == 1 and not i.attributes for i in asked)
    assert all(i.prompt.startswith("Nia ") for i in asked)


def test_knowledge_tests_ask_trained_facts_in_untrained_words(kit):
    items, _ = compose(kit, InteractionsConfig(num_knowledge_wordings=3), 0)
    train, test = of(items, "knowledge_qa", "train"), of(items, "knowledge_qa", "test")
    assert len(train) == 3 * len(kit.facts)
    trained = {(i.group, i.target.value) for i in train}
    assert test
    for item in test:
        assert (item.group.removesuffix("/paraphrase"), item.target.value) in trained
        assert item.options[0] == item.target.value
        words = [f" {normalise(option)} " for option in item.options]
        assert len(words) == 4
        assert not [1 for a in words for b in words if a is not b and a in b]
        assert kit.name in item.prompt or re.search(r"\byou", item.prompt)


def test_distractors_are_of_the_same_type(tmp_path):
    places = [
        Fact(question=f"Where is Bramble's {n}?", answer=f"in the {n} shed", evidence=f"It is {n}.")
        for n in ("oar", "cup", "map", "net")
    ]
    numbers = [
        Fact(question=f"How many {n} are there?", answer=w, evidence=f"{w} {n}.")
        for n, w in (("oars", "three"), ("cups", "nine"))
    ]
    items, _ = compose(make_curated_kit(tmp_path, facts=(*places, *numbers)), InteractionsConfig(), 0)
    asked = next(i for i in of(items, "knowledge_qa", "test") if "oar?" in i.prompt)
    assert all(option.endswith("shed") for option in asked.options)


def test_a_kit_with_too_few_facts_has_no_unfair_questions(tmp_path):
    facts = tuple(
        Fact(question=f"What is {n}?", answer="tea", evidence=f"{n} is tea.")
        for n in ("one", "two", "three", "four")
    )
    items, _ = compose(make_curated_kit(tmp_path, facts=facts), InteractionsConfig(), 0)
    assert of(items, "knowledge_qa", "test") == []


def test_two_characters_can_be_told_apart(tmp_path):
    def words(name):
        items, _ = compose(make_curated_kit(tmp_path / name, **KITS[name]()), InteractionsConfig(), 0)
        single = [i for i in items if i.kind == "role_play" and i.form in ("taste", "small_talk", "fact")]
        return {normalise(item.target.value) for item in single}

    assert not words("bramble") & words("vidor")


def test_the_preview_shows_kit_text_as_text(tmp_path):
    evil = Exchange(user="<script>alert(1)</script>", reply="# Hmph.\n[click](http://x) `code`")
    make_curated_kit(tmp_path / "kit", dialogues=(evil,), name="Bram*ble*")
    this = job(tmp_path, tmp_path / "kit")
    run(this)
    text = (this.out / "preview.md").read_text()
    assert "<script>" not in text
    assert "[click](" not in text
    assert "Bram\\*ble\\*" in text
    assert evil.user in [
        i.prompt
        for i in read_interactions(this.out / "train.jsonl") + read_interactions(this.out / "test.jsonl")
    ]


def test_written_lines_are_plain_json(tmp_path):
    make_curated_kit(tmp_path / "kit", opening="Ünïcode – ça va?")
    this = job(tmp_path, tmp_path / "kit")
    run(this)
    lines = (this.out / "train.jsonl").read_text(encoding="utf-8").splitlines()
    assert "Ünïcode – ça va?" in lines[0]
    assert all(
        set(json.loads(line)) == {"id", "kind", "form", "split", "group", "segments", "options", "attributes"}
        for line in lines
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"num_role_play": 0},
        {"test_share": 1.0},
        {"multi_turn_share": -0.1},
        {"num_plain_captions": 0},
        {"num_unseen_scenes": -1},
    ],
)
def test_a_wrong_setting_is_named(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        InteractionsConfig(**settings)


def test_a_tiny_setting_makes_a_tiny_stage(tmp_path):
    tiny = InteractionsConfig(
        num_role_play=20,
        num_plain_captions=1,
        num_visual_wordings=1,
        num_knowledge_wordings=1,
        num_unseen_scenes=2,
        num_open_prompts=2,
        num_instructions=1,
        num_test_instructions=1,
    )
    items, _ = compose(make_curated_kit(tmp_path), tiny, 0)
    assert (
        len(
            [i for i in items if i.kind == "role_play" and i.form not in ("grounded", "two_turns", "request")]
        )
        == 20
    )
    assert len(items) < 160


def test_a_kit_with_plenty_of_its_own_still_practises_refusals(tmp_path):
    plenty = tuple(
        Exchange(user=f"What is number {n}?", reply=f"Hmph. Number {n} is none of my business.")
        for n in range(250)
    )
    items, _ = compose(make_curated_kit(tmp_path, dialogues=plenty), InteractionsConfig(num_role_play=100), 0)
    single = [
        i for i in items if i.kind == "role_play" and i.form not in ("grounded", "two_turns", "request")
    ]
    assert len(single) == 250 + 7 + 5
    assert {i.group for i in single if i.form == "small_talk"} == {
        "talk-ai",
        "talk-act",
        "talk-errand",
        "talk-greeting",
        "talk-name",
    }


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
    items, _ = compose(make_curated_kit(tmp_path, facts=facts), InteractionsConfig(), 0)
    assert of(items, "knowledge_qa", "test")
    for item in of(items, "knowledge_qa", "test"):
        assert sum("old maps" in option for option in item.options) <= 1
