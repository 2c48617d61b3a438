"""Watching: the best in other eyes is remembered, and who loses the character is stopped."""

import pytest
import torch
from torch import nn

from unichar.grpo.config import GrpoConfig, ValidationConfig
from unichar.grpo.rubric import Rewards
from unichar.grpo.validation import Validation
from unichar.judges.prompts import Prompt
from unichar.model.lora import trainable


class Painter:
    """A model that draws what its only weight says."""

    def __init__(self) -> None:
        self.net = nn.Linear(1, 1, bias=False)
        self.paint(0.0)

    def paint(self, value: float) -> None:
        self.net.weight.data.fill_(value)

    def prompt_context(self, prompts):
        return prompts

    def sample_latents(self, context, seeds, **_):
        return self.net.weight.detach().expand(len(seeds), 1)

    def decode_latents(self, latents):
        return latents


class Mark:
    """A rubric, and its panel, that takes marks from a table."""

    def __init__(self, score, likeness) -> None:
        self._score, self._likeness, self.scorers = score, likeness, self

    def score(self, drawn, prompts):
        total = torch.tensor([[self._score[float(drawn.pixels[0])]]])
        return Rewards(total=total, parts={"identity": total})

    def likeness(self, pixels):
        return torch.tensor([self._likeness[float(pixels[0])]])

    def copying(self, pixels, prompts):
        return torch.zeros(len(pixels))


@pytest.fixture
def painter():
    return Painter()


def watch(painter, score, likeness):
    evaluator = Mark(score, likeness)
    return Validation(
        painter,
        [Prompt(text="Bramble")],
        rubric=Mark(dict.fromkeys(score, 9.0), likeness),
        evaluator=evaluator,
        live=trainable(painter.net),
        config=GrpoConfig(validation=ValidationConfig(max_identity_drop=0.1)),
        seed=0,
    )


def look(painter, watched, values):
    """Look at one picture after another, as rounds would."""
    numbers = []
    for rounds, value in enumerate(values):
        painter.paint(value)
        numbers.append(watched.look(rounds))
    return numbers


def best(painter, watched):
    with watched.best.swapped():
        return float(painter.net.weight)


def test_the_best_is_remembered_and_not_the_last(painter):
    watched = watch(painter, {0.0: 1.0, 1.0: 3.0, 2.0: 2.0}, dict.fromkeys((0.0, 1.0, 2.0), 0.9))
    numbers = look(painter, watched, [0.0, 1.0, 2.0])
    assert best(painter, watched) == 1.0 and float(painter.net.weight) == 2.0
    assert int(watched.progress.best_round) == 1 and not watched.progress.stopped
    assert [row["evaluator_score"] for row in numbers] == [1.0, 3.0, 2.0]
    assert [row["held_out_reward"] for row in numbers] == [
        9.0
    ] * 3  # what the reward's own eye thinks chooses nothing


def test_where_nothing_gets_better_the_start_remains(painter):
    watched = watch(painter, {0.0: 1.0, 1.0: 0.5}, {0.0: 0.9, 1.0: 0.9})
    look(painter, watched, [0.0, 1.0])
    assert best(painter, watched) == 0.0 and int(watched.progress.best_round) == 0


def test_losing_the_character_stops_and_is_never_the_best(painter):
    watched = watch(painter, {0.0: 1.0, 1.0: 2.0, 2.0: 9.0}, {0.0: 0.9, 1.0: 0.81, 2.0: 0.79})
    look(painter, watched, [0.0, 1.0])
    assert not watched.progress.stopped and best(painter, watched) == 1.0
    look(painter, watched, [0.0, 1.0, 2.0])
    assert watched.progress.stopped and best(painter, watched) == 1.0


def test_pictures_that_are_no_numbers_stop_too(painter):
    watched = watch(painter, {0.0: 1.0, 1.0: 2.0}, {0.0: 0.9, 1.0: float("nan")})
    look(painter, watched, [0.0, 1.0])
    assert watched.progress.stopped and best(painter, watched) == 0.0


def test_what_was_seen_is_saved_with_the_state(painter):
    watched = watch(painter, {0.0: 1.0, 1.0: 3.0}, {0.0: 0.9, 1.0: 0.85})
    look(painter, watched, [0.0, 1.0])
    other = watch(painter, {0.0: 1.0, 1.0: 3.0}, {0.0: 0.9, 1.0: 0.85})
    other.progress.load_state_dict(watched.progress.state_dict())
    assert float(other.progress.start_identity) == pytest.approx(0.9)
    assert (float(other.progress.best_score), int(other.progress.best_round)) == (3.0, 1)
    assert {tensor.numel() for tensor in watched.progress.state_dict().values()} == {1}
