"""Alignment by questions: for what fraction of the questions that a prompt answers does the picture give the
same answer?

The questions of a text are written once, by the judge model, and kept in a file, for all arms and for anyone
who wants to read them. A question is kept only if the model, given the text alone, chooses the answer that it
wrote; so what the text leaves open is not asked. Every question shows its choices in an order of its own, and
"cannot be seen" is always among them.

Departs from the paper, whose questions repeat (half of 15,812), guess what the prompt does not say, and hide
their choices from a model whose free answer must then match to the letter.

Letters: B pictures, H/W pixels.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unichar.judges.endpoint import Content, Endpoint, EndpointError, picture, text
from unichar.model.pixels import to_images
from unichar.store.files import json_bytes, locked, write_atomic
from unichar.training.seeds import python_rng

MAX_QUESTIONS = 8
"""Per text."""
_CHUNK = 16
"""Pictures that are encoded as PNG at once."""
_MIN_READABLE = 0.8
"""Fraction of answers that must be one of the choices."""
_DRAFT_TOKENS, _ANSWER_TOKENS = 2000, 16
"""Token limits of a draft of questions and of one answer."""
_VAGUE = re.compile(
    r"\b(not (specified|mentioned|stated|given|clear)|unknown|unclear|maybe|none of|can ?not be|depends"
    r"|n/a)\b",
    re.I,
)
"""Choices that say nothing about a picture."""
_WRITE = """A picture was asked for in these words:

{target}

Write up to {most} questions that show whether a picture is what was asked for. \
Who answers sees the picture and not the words.
- Ask for one thing at a time that the words state and a picture can show: who or what is there, how many, \
what they wear, hold and do, where they are, the light, the weather, the colours.
- Do not ask for names, sounds, thoughts, what was before, or for anything that the words leave open.
- Do not ask for the same thing twice.
- Give each question two to four short choices of which only one can be right, and say which is right.
Answer with JSON and nothing else: [{{"question": "...", "choices": ["...", "..."], "answer": "..."}}]"""
_ANSWER = "{question}\n{choices}\nAnswer with one letter and nothing else."

# Answers that are accepted: "B", "The answer is B.", and "B) a cup".
_LETTER = re.compile(r"\W*(?:(?:the )?answer(?: is)?\W+)?(?P<letter>[a-z])\W*", re.I)
_LETTER_AND_WORDS = re.compile(r"\W*(?P<letter>[A-Z])[).:]\s*(?P<words>.+)", re.S)

# The last choice of every question: without it a judge would have to guess.
_UNSEEN = "the picture does not show it"
_UNSAID = "the words do not say it"


class Question(NamedTuple):
    """Example: `Question("What does the person hold?", ("a kite", "a cup", "a dog"), "a kite")`"""

    question: str
    choices: tuple[str, ...]
    """In the order in which they are shown."""
    answer: str

    def shown(self, otherwise: str) -> str:
        """The question with its choices; `otherwise` is the last of them."""
        # Letters, because a model that answers in free words cannot be compared.
        lines = [f"{chr(ord('A') + i)}) {choice}" for i, choice in enumerate((*self.choices, otherwise))]
        return _ANSWER.format(question=self.question, choices="\n".join(lines))

    def picked(self, answer: str, otherwise: str) -> str:
        """The choice that an answer means; empty where it cannot be told."""
        # Some models answer with the words of a choice instead of its letter.
        choices = (*self.choices, otherwise)
        for choice in choices:
            if _plain(choice) == _plain(answer):
                return choice

        # Else a letter, alone or with words behind it; a letter beyond the choices is none.
        found = _LETTER.fullmatch(answer) or _LETTER_AND_WORDS.fullmatch(answer)
        number = ord(found["letter"].upper()) - ord("A") if found else len(choices)
        if found is None or number >= len(choices):
            return ""

        # "B) a cup" counts if the words are those of B.
        words = found.groupdict().get("words") or choices[number]
        return choices[number] if _plain(words).startswith(_plain(choices[number])) else ""


class QuestionAlignment:
    """A `TextJudge` that asks the model behind `endpoint`; `file` is where questions are kept."""

    def __init__(self, endpoint: Endpoint, file: Path) -> None:
        self._endpoint, self._file = endpoint, file
        self._questions: dict[str, list[Question]] = {}
        self.asked, self.unread = 0, 0
        """Questions about pictures so far, and answers among them that were none of the choices, which count
        as wrong."""

    def prepare(self, texts: Sequence[str]) -> None:
        """Read the questions of all texts, or write them; concurrent processes wait for each other and share
        them.

        Raises:
            EndpointError: The model cannot be asked.
        """
        # No file is touched once all questions are in memory.
        if set(texts) <= self._questions.keys():
            return

        # Several ranks may ask about the same text; the first one writes, the others read.
        lock = self._file.with_suffix(".lock")
        with locked(lock, waiting="waiting for the questions that another process writes"):
            if self._file.exists():
                kept = json.loads(self._file.read_text(encoding="utf-8"))
                self._questions = {words: [_kept(row) for row in rows] for words, rows in kept.items()}

            # Each text once, in order.
            new = [words for words in dict.fromkeys(texts) if words not in self._questions]
            if new:
                self._write(new)

    def _write(self, new: Sequence[str]) -> None:
        """Write questions for texts that have none, and keep those that the text alone answers."""
        # Draft questions for every text.
        requests = [[text(_WRITE.format(target=words, most=MAX_QUESTIONS))] for words in new]
        drafts = self._endpoint.ask(requests, max_tokens=_DRAFT_TOKENS)
        asked = []
        for words, draft in zip(new, drafts, strict=True):
            asked += [(words, question) for question in usable(draft)]

        # Ask them about the text itself, without any picture.
        requests = [[text(f"{words}\n\n{question.shown(_UNSAID)}")] for words, question in asked]
        answers = self._endpoint.ask(requests, max_tokens=_ANSWER_TOKENS)

        # A question that the text does not answer is about something that the prompt leaves open.
        found: dict[str, list[Question]] = {words: [] for words in new}
        for (words, question), answer in zip(asked, answers, strict=True):
            if question.picked(answer, _UNSAID) == question.answer:
                found[words].append(question)

        # A text that no question remains for is asked as a whole. The file holds all texts, also older ones.
        self._questions |= {words: questions or [_whole(words)] for words, questions in found.items()}
        rows = {words: [question._asdict() for question in kept] for words, kept in self._questions.items()}
        write_atomic(self._file, json_bytes(rows))

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] fraction of right answers for pixels [B, 3, H, W] and one text per picture.

        Raises:
            EndpointError: The model cannot be asked, or more than a fifth of its answers are none of the
                choices.
        """
        self.prepare(texts)

        # Chunks bound the memory of the encoded pictures.
        scores: list[float] = []
        for start in range(0, len(texts), _CHUNK):
            scores += self._score(pixels[start : start + _CHUNK], texts[start : start + _CHUNK])

        # Counted over all calls, so that one bad chunk does not end a run.
        if self.unread > (1 - _MIN_READABLE) * self.asked:
            raise EndpointError(
                f"{self.unread} of {self.asked} answers of {self._endpoint.model} about pictures are none of "
                "the choices: expected a model that sees pictures and follows instructions"
            )
        return torch.tensor(scores)

    def _score(self, pixels: Tensor, texts: Sequence[str]) -> list[float]:
        """Fraction of right answers for each of a few pictures."""
        questions = [self._questions[words] for words in texts]
        requests: list[Content] = []
        for image, of_image in zip(to_images(pixels), questions, strict=True):
            # Encoded once and sent with each of its questions.
            shown = picture(image)
            requests += [[shown, text(question.shown(_UNSEEN))] for question in of_image]
        answers = iter(self._endpoint.ask(requests, max_tokens=_ANSWER_TOKENS))
        self.asked += len(requests)

        # Answers come in the order of the requests.
        scores = []
        for of_image in questions:
            picked = [question.picked(next(answers), _UNSEEN) for question in of_image]
            self.unread += picked.count("")
            right = [choice == question.answer for choice, question in zip(picked, of_image, strict=True)]
            scores.append(sum(right) / len(right))
        return scores

    def note(self) -> str:
        """Sentences for the report."""
        # Texts judged by one question only are said, because their scores are 0 or 1.
        whole = sum(questions == [_whole(words)] for words, questions in self._questions.items())

        # Says which model judged, so that numbers of different judges are not compared.
        words = (
            f"Alignment is the share of right answers of {self._endpoint.model} to {self.asked} questions "
            f"about pictures; {self.unread} answers could not be read and count as wrong."
        )

        if whole:
            count = len(self._questions)
            words += f" For {whole} of {count} texts no question could be written but whether they fit."
        return words


def usable(draft: str) -> list[Question]:
    """The well-formed questions of a draft, none of which repeats another's words or choices."""
    found: list[Question] = []
    taken: set[str] = set()
    for row in _rows(draft):
        question = _question(row)
        if question is None:
            continue

        # Many questions may have the choices yes and no.
        contents = {_plain(question.question), " ".join(sorted(map(_plain, question.choices)))} - {"no yes"}
        if not contents & taken:
            found.append(question)
            taken |= contents
    return found[:MAX_QUESTIONS]


def _rows(draft: str) -> list[Any]:
    """The rows of a JSON list, whatever is written around it; none where there is no such list."""
    try:
        # Models like to put a sentence or a code fence around JSON.
        rows = json.loads(draft[draft.index("[") : draft.rindex("]") + 1])
    except ValueError:
        return []
    return rows if isinstance(rows, list) else []


def _question(row: Any) -> Question | None:
    """A row of a draft as a question, or None if it cannot be asked."""
    # A draft comes from a model, so nothing about its shape is taken for granted.
    if not (isinstance(row, dict) and isinstance(row.get("choices"), list)):
        return None
    words = [row.get("question"), row.get("answer"), *row["choices"]]
    if not all(isinstance(word, str) and _plain(word) for word in words):
        return None
    if any(_VAGUE.search(word) for word in words):
        return None

    # Two to four choices, none twice, the answer among them.
    choices = {_plain(choice): " ".join(choice.split()) for choice in row["choices"]}
    right = choices.get(_plain(row["answer"]))
    if right is None or not 2 <= len(row["choices"]) <= 4 or len(choices) != len(row["choices"]):
        return None

    # Models write the right choice first, so the order is a function of the question instead.
    asked = " ".join(row["question"].split())
    order = sorted(choices.values())
    python_rng(0, "choices", asked).shuffle(order)
    return Question(asked, tuple(order), right)


def _whole(words: str) -> Question:
    """Whether a picture fits its text, for texts that nothing else can be asked about."""
    return Question(f"Is this a picture of the following? {words}", ("yes", "no"), "yes")


def _kept(row: dict[str, Any]) -> Question:
    """A row of the file."""
    return Question(row["question"], tuple(row["choices"]), row["answer"])


def _plain(words: str) -> str:
    """Letters and digits in lower case, for comparison."""
    return re.sub(r"[\W_]+", " ", words.casefold()).strip()
