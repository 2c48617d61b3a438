"""Alignment by questions: what share of the questions that a prompt answers does the picture answer in the same way?

The questions of a text are written once, by the judge model, and kept in a file for all arms and for who wants to read them. A
question stays only if the model, given the text alone, picks the answer it wrote: what the text leaves open is not asked for.
Every question shows its choices, in an order of their own, and that nothing of it can be seen is always among them.

Departs from the paper, whose questions repeat (half of 15,812), guess what the prompt does not say, and hide their choices from a
model whose free words must then match to the letter.

Letters: B pictures, H/W pixels.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unichar.judges.endpoint import Endpoint, EndpointError, picture, text
from unichar.model.pixels import to_images
from unichar.store.files import json_bytes, locked, write_atomic
from unichar.training.seeds import python_rng

MOST = 8
"""Questions a text."""
_CHUNK = 16
"""Pictures that are unpacked at once."""
_LEAST_READ = 0.8
"""Share of answers that must be one of the choices."""
_OPEN = re.compile(
    r"\b(not (specified|mentioned|stated|given|clear)|unknown|unclear|maybe|none of|can ?not be|depends|n/a)\b",
    re.I,
)
_WRITE = """A picture was asked for in these words:

{wanted}

Write up to {most} questions that show whether a picture is what was asked for. Who answers sees the picture and not the words.
- Ask for one thing at a time that the words state and a picture can show: who or what is there, how many, what they wear, hold \
and do, where they are, the light, the weather, the colours.
- Do not ask for names, sounds, thoughts, what was before, or for anything that the words leave open.
- Do not ask for the same thing twice.
- Give each question two to four short choices of which only one can be right, and say which is right.
Answer with JSON and nothing else: [{{"question": "...", "choices": ["...", "..."], "answer": "..."}}]"""
_ANSWER = "{question}\n{choices}\nAnswer with one letter and nothing else."
_LETTER = re.compile(r"\W*(?:(?:the )?answer(?: is)?\W+)?(?P<letter>[a-z])\W*", re.I)
_LETTER_AND_WORDS = re.compile(r"\W*(?P<letter>[A-Z])[).:]\s*(?P<words>.+)", re.S)
_UNSEEN = "the picture does not show it"
_UNSAID = "the words do not say it"


class Question(NamedTuple):
    """Example: `Question("What does the person hold?", ("a kite", "a cup", "a dog"), "a kite")`"""

    question: str
    choices: tuple[str, ...]
    """In the order in which they are shown."""
    answer: str

    def shown(self, otherwise: str) -> str:
        """With its choices, of which `otherwise` is the last."""
        lines = [f"{chr(ord('A') + i)}) {choice}" for i, choice in enumerate((*self.choices, otherwise))]
        return _ANSWER.format(question=self.question, choices="\n".join(lines))

    def picked(self, answer: str, otherwise: str) -> str:
        """The choice that an answer means; empty where that is not plain."""
        choices = (*self.choices, otherwise)
        same = [choice for choice in choices if _plain(choice) == _plain(answer)]
        found = _LETTER.fullmatch(answer) or _LETTER_AND_WORDS.fullmatch(answer)
        number = ord(found["letter"].upper()) - ord("A") if found else len(choices)
        if same or number >= len(choices):
            return same[0] if same else ""
        words = found.groupdict().get("words", "") if found else ""
        return choices[number] if _plain(words or choices[number]).startswith(_plain(choices[number])) else ""


class QuestionAlignment:
    """A `TextJudge` that asks the model behind `endpoint`; `file` is where questions are kept."""

    def __init__(self, endpoint: Endpoint, file: Path) -> None:
        self._endpoint, self._file = endpoint, file
        self._questions: dict[str, list[Question]] = {}
        self.asked, self.unread = 0, 0
        """Questions about pictures so far, and answers among them that were none of the choices, which counts as not right."""

    def prepare(self, texts: Sequence[str]) -> None:
        """Read the questions of all texts, or write them; processes that work side by side wait for each other and share them.

        Raises:
            EndpointError: The model can not be asked.
        """
        if not set(texts) <= self._questions.keys():
            with locked(
                self._file.with_suffix(".lock"),
                waiting="waiting for the questions that another process writes",
            ):
                if self._file.exists():
                    kept = json.loads(self._file.read_text(encoding="utf-8"))
                    self._questions = {words: [_kept(row) for row in rows] for words, rows in kept.items()}
                new = [words for words in dict.fromkeys(texts) if words not in self._questions]
                if new:
                    self._write(new)

    def _write(self, new: Sequence[str]) -> None:
        """Questions of texts that have none."""
        drafts = self._endpoint.ask(
            [[text(_WRITE.format(wanted=words, most=MOST))] for words in new], max_tokens=2000
        )
        asked = [
            (words, question) for words, draft in zip(new, drafts, strict=True) for question in usable(draft)
        ]
        said = self._endpoint.ask(
            [[text(f"{words}\n\n{question.shown(_UNSAID)}")] for words, question in asked], max_tokens=16
        )
        for words in new:
            self._questions[words] = []
        for (words, question), answer in zip(asked, said, strict=True):
            if question.picked(answer, _UNSAID) == question.answer:
                self._questions[words].append(question)
        for words in new:
            self._questions[words] = self._questions[words] or [_whole(words)]
        write_atomic(
            self._file,
            json_bytes({words: [q._asdict() for q in rows] for words, rows in self._questions.items()}),
        )

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] share of right answers.

        Raises:
            EndpointError: The model can not be asked, or a fifth of its answers are none of the choices.
        """
        self.prepare(texts)
        shares: list[float] = []
        for start in range(0, len(texts), _CHUNK):
            shares += self._shares(pixels[start : start + _CHUNK], texts[start : start + _CHUNK])
        if self.unread > (1 - _LEAST_READ) * self.asked:
            raise EndpointError(
                f"{self.unread} of {self.asked} answers of {self._endpoint.model} about pictures are none of the choices: "
                "it needs a model that sees pictures and follows instructions"
            )
        return torch.tensor(shares)

    def _shares(self, pixels: Tensor, texts: Sequence[str]) -> list[float]:
        """Of some pictures."""
        rows = [self._questions[words] for words in texts]
        shown = [picture(image) for image in to_images(pixels)]
        asked = [
            [seen, text(question.shown(_UNSEEN))]
            for seen, row in zip(shown, rows, strict=True)
            for question in row
        ]
        answers = iter(self._endpoint.ask(asked, max_tokens=16))
        picked = [[question.picked(next(answers), _UNSEEN) for question in row] for row in rows]
        self.asked += len(asked)
        self.unread += sum(choice == "" for row in picked for choice in row)
        return [
            sum(choice == question.answer for choice, question in zip(choices, row, strict=True)) / len(row)
            for choices, row in zip(picked, rows, strict=True)
        ]

    def note(self) -> str:
        """What a reader of the numbers should know."""
        whole = sum(rows == [_whole(words)] for words, rows in self._questions.items())
        more = (
            f" For {whole} of {len(self._questions)} texts no question could be written but whether they fit."
            if whole
            else ""
        )
        return (
            f"Alignment is the share of right answers of {self._endpoint.model} to {self.asked} questions about pictures; "
            f"{self.unread} answers could not be read and count as wrong.{more}"
        )


def usable(draft: str) -> list[Question]:
    """The questions of a draft that can be asked: whole, of different content, with choices that differ and a definite answer."""
    found: list[Question] = []
    taken: set[str] = set()
    for row in _rows(draft):
        question = _question(row)
        if question is None:
            continue
        contents = {_plain(question.question), " ".join(sorted(map(_plain, question.choices)))} - {"no yes"}
        if not contents & taken:
            found.append(question)
            taken |= contents
    return found[:MOST]


def _rows(draft: str) -> list[Any]:
    """The rows of a JSON list with anything around it; none where there is no such list."""
    try:
        rows = json.loads(draft[draft.index("[") : draft.rindex("]") + 1])
    except ValueError:
        return []
    return rows if isinstance(rows, list) else []


def _question(row: Any) -> Question | None:
    """A row of a draft as a question, or nothing if it can not be asked."""
    if not (isinstance(row, dict) and isinstance(row.get("choices"), list)):
        return None
    words = [row.get("question"), row.get("answer"), *row["choices"]]
    if not all(isinstance(word, str) and _plain(word) for word in words) or any(
        _OPEN.search(word) for word in words
    ):
        return None
    choices = {_plain(choice): " ".join(choice.split()) for choice in row["choices"]}
    right = choices.get(_plain(row["answer"]))
    if right is None or not 2 <= len(row["choices"]) <= 4 or len(choices) != len(row["choices"]):
        return None
    asked = " ".join(row["question"].split())
    order = sorted(choices.values())
    python_rng(0, "choices", asked).shuffle(order)
    return Question(asked, tuple(order), right)


def _whole(words: str) -> Question:
    """Whether a picture fits its text, for texts that nothing else can be asked about."""
    return Question(f"Is this a picture of the following? {words}", ("yes", "no"), "yes")


def _kept(row: dict[str, Any]) -> Question:
    return Question(row["question"], tuple(row["choices"]), row["answer"])


def _plain(words: str) -> str:
    return re.sub(r"[\W_]+", " ", words.casefold()).strip()
