"""Alignment by questions: which may be asked, what an answer means, and what is made of both."""

import json

import pytest
import torch
from factories_judges import sensible, serving
from factories_model import make_prior_images

from unichar.judges.endpoint import Endpoint, EndpointError
from unichar.judges.questions import Question, QuestionAlignment, usable
from unichar.model.pixels import to_pixels

KITE = {"question": "What does the person hold?", "choices": ["a kite", "a cup", "a dog"], "answer": "a kite"}
RAIN = {"question": "Is it raining?", "choices": ["yes", "no"], "answer": "yes"}


def draft(*rows) -> str:
    return f"Here you are:\n```json\n{json.dumps(rows)}\n```"


def asked_of(words: str) -> Question:
    return Question("What does the person hold?", ("a cup", "a dog", "a kite"), words)


# Which questions may be asked


def test_questions_are_read_out_of_a_draft():
    kite, rain = usable(draft(KITE, RAIN))
    assert (kite.question, set(kite.choices), kite.answer) == (
        KITE["question"],
        set(KITE["choices"]),
        "a kite",
    )
    assert (rain.question, set(rain.choices), rain.answer) == ("Is it raining?", {"yes", "no"}, "yes")


@pytest.mark.parametrize(
    "change",
    [
        {"answer": "a fish"},
        {"answer": "not specified", "choices": ["a kite", "not specified"]},
        {"answer": "unknown", "choices": ["unknown", "a kite"]},
        {"answer": "maybe", "choices": ["maybe", "a kite"]},
        {"answer": "None of these", "choices": ["None of these", "a kite"]},
        {"choices": ["a kite"]},
        {"choices": ["a kite", "A Kite!", "a dog"]},
        {"choices": ["a kite", "b", "c", "d", "e"]},
        {"choices": "a kite"},
        {"choices": ["a kite", 3]},
        {"choices": ["a kite", ""]},
        {"question": " "},
        {"question": None},
        {"answer": None},
    ],
)
def test_questions_that_can_not_be_asked_are_dropped(change):
    assert len(usable(draft(KITE | change, RAIN))) == 1


def test_no_question_is_asked_twice():
    again = [KITE | {"question": "what does the PERSON hold"}, KITE | {"question": "What is held?"}]
    snow = RAIN | {"question": "Does it snow?", "answer": "no"}
    assert [q.question for q in usable(draft(KITE, *again, RAIN, snow))] == [
        r["question"] for r in (KITE, RAIN, snow)
    ]


def test_eight_questions_are_enough():
    assert len(usable(draft(*(RAIN | {"question": f"Is it {number}?"} for number in range(20))))) == 8


@pytest.mark.parametrize(
    "words", ["", "I can not.", "[", "]", "[1, 2]", '{"question": "?"}', "[[]]", "][", "null"]
)
def test_a_draft_without_questions_has_none(words):
    assert usable(words) == []


def test_the_right_choice_stands_in_every_place():
    rows = [
        KITE | {"question": f"What is in hand {n}?", "choices": ["a kite", f"cup {n}", f"dog {n}"]}
        for n in range(60)
    ]
    places = [question.choices.index("a kite") for row in rows for question in usable(draft(row))]
    assert {places.count(place) > 8 for place in range(3)} == {True}


# What an answer means


@pytest.mark.parametrize(
    "answer", ["C", "c", "C.", "(C)", "**C**", "C) a kite", "C: a kite.", "a kite", "A kite.", "Answer: C"]
)
def test_plain_answers_are_understood(answer):
    assert asked_of("a kite").picked(answer, "unseen") == "a kite"


def test_that_nothing_is_seen_is_an_answer_too():
    assert (
        asked_of("a kite").picked("D", "unseen") == asked_of("a kite").picked("Unseen.", "unseen") == "unseen"
    )


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "E",
        "A dog and a kite",
        "C or B",
        "C) a cup",
        "I can not help with that.",
        "5",
        "AC",
        "A kite or a dog",
    ],
)
def test_other_answers_are_not_guessed_at(answer):
    assert asked_of("a kite").picked(answer, "unseen") == ""


# What is made of both


class Judge:
    """Drafts by text; believes that every text holds what `believed` says; sees what `seen` says."""

    def __init__(self, drafts, *, believed=("a kite", "yes"), seen=("a kite", "yes")):
        self.drafts, self.believed, self.seen = drafts, believed, seen

    def __call__(self, words):
        if "Answer with JSON" in words:
            return next(rows for target, rows in self.drafts.items() if target in words)
        known = self.believed if "the words do not say it" in words else self.seen
        return next(
            (line[0] for line in words.splitlines() if line[1:3] == ") " and line[3:] in known), "No idea"
        )


def judged(judge, tmp_path, texts, count=None):
    with serving(judge) as (address, server):
        alignment = QuestionAlignment(Endpoint(address, "m", tries=1), tmp_path / "questions.json")
        scores = alignment.score(to_pixels(make_prior_images(count or len(texts))), texts)
    return scores, alignment, server


def test_the_share_of_right_answers(tmp_path):
    nothing = "the picture does not show it"
    judge = Judge({"kite": draft(KITE, RAIN)}, seen=("a kite", "no"))
    scores, alignment, server = judged(judge, tmp_path, ["the kite"] * 3)
    assert scores.tolist() == [0.5] * 3 and (alignment.asked, alignment.unread) == (6, 0)
    pictures = [body for body in server.bodies if len(body["messages"][0]["content"]) == 2]
    assert (
        len(pictures) == 6 and len(server.bodies) == 6 + 1 + 2
    )  # a draft, and two questions to the text alone
    assert all(nothing in text and "Answer with one letter" in text for text in server.texts[3:])
    judge.seen = (nothing,)
    assert judged(judge, tmp_path, ["the kite"])[0].tolist() == [0.0]


def test_what_the_text_leaves_open_is_not_asked_for(tmp_path):
    judge = Judge({"kite": draft(KITE, RAIN)}, believed=("a kite", "no", "the words do not say it"))
    scores, alignment, _ = judged(judge, tmp_path, ["the kite"])
    assert scores.tolist() == [1.0] and alignment.asked == 1


def test_questions_are_written_once_a_text_and_kept(tmp_path):
    judge = Judge({"kite": draft(KITE), "rain": draft(RAIN)})
    _, _, server = judged(judge, tmp_path, ["the kite", "the rain", "the kite"])
    assert sum("Answer with JSON" in text for text in server.texts) == 2
    kept = json.loads((tmp_path / "questions.json").read_text())
    assert kept.keys() == {"the kite", "the rain"} and kept["the rain"][0]["answer"] == "yes"
    _, _, server = judged(judge, tmp_path, ["the kite"])  # another process finds them
    assert not any("Answer with JSON" in text for text in server.texts)


def test_a_text_nothing_can_be_asked_about_is_asked_about_as_a_whole(tmp_path):
    scores, alignment, server = judged(Judge({"Hm": "I can not."}), tmp_path, ["Hm"])
    assert scores.tolist() == [1.0]
    assert "Is this a picture of the following? Hm" in server.texts[-1]
    assert "For 1 of 1 texts no question could be written" in alignment.note()


def test_answers_that_can_not_be_read_are_wrong_and_counted(tmp_path):
    rows = [RAIN | {"question": f"Is it {number}?"} for number in range(7)]
    judge = Judge({"kite": draft(KITE, *rows)}, seen=("yes",))
    scores, alignment, _ = judged(judge, tmp_path, ["the kite"] * 20)
    assert scores.tolist() == pytest.approx([7 / 8] * 20) and (alignment.asked, alignment.unread) == (160, 20)
    assert alignment.note().startswith(
        "Alignment is the share of right answers of m to 160 questions about pictures; 20 answers"
    )


def test_a_model_that_can_not_answer_is_no_judge(tmp_path):
    with pytest.raises(EndpointError, match="2 of 2 answers of m about pictures are none of the choices"):
        judged(Judge({"kite": draft(KITE, RAIN)}, seen=()), tmp_path, ["the kite"])


def test_the_sensible_judge_of_other_tests_is_one(tmp_path):
    scores, alignment, _ = judged(sensible, tmp_path, ["the person on a bridge", "a dog in the long grass"])
    assert torch.equal(scores, torch.ones(2)) and alignment.asked == 4
