"""Validation: the best by the evaluator is kept, and losing identity stops training."""

import pytest
import torch
from torch import nn

from unichar.grpo.config import GrpoConfig, ValidationConfig
from unichar.grpo.rubric import Rewards
from unichar.grpo.validation import Validation
from unichar.model.lora import trainable
from unichar.types import Prompt


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


class TableRubric:
    """A rubric, and its scorers, with scores from a table: brightness -> score."""

    def __init__(self, score, likeness) -> None:
        self._score, self._likeness, self.scorers = score, likeness, self

    def score(self, drawn, prompts):
        total = torch.tensor([[self._score[float(drawn.pixels[0])]]])
        return Rewards(total=total, terms={"identity": total})

    def likeness(self, pixels):
        return torch.tensor([self._likeness[float(pixels[0])]])

    def copying(self, pixels, prompts):
        return torch.zeros(len(pixels))


@pytest.fixture
def painter():
    return Painter()


def validation_of(painter, score, likeness):
    evaluator = TableRubric(score, likeness)
    return Validation(
        painter,
        [Prompt(text="Bramble")],
        rubric=TableRubric(dict.fromkeys(score, 9.0), likeness),
        evaluator=evaluator,
        live=trainable(painter.net),
        config=GrpoConfig(validation=ValidationConfig(max_identity_drop=0.1)),
        seed=0,
    )


def validate(painter, validation, values):
    """Validate policies that draw one brightness after another."""
    numbers = []
    for rounds, value in enumerate(values):
        painter.paint(value)
        numbers.append(validation.validate(rounds))
    return numbers


def best(painter, validation):
    with validation.best.swapped():
        return float(painter.net.weight)


def test_the_best_is_kept_and_not_the_last(painter):
    validation = validation_of(painter, {0.0: 1.0, 1.0: 3.0, 2.0: 2.0}, dict.fromkeys((0.0, 1.0, 2.0), 0.9))
    numbers = validate(painter, validation, [0.0, 1.0, 2.0])
    assert best(painter, validation) == 1.0 and float(painter.net.weight.detach()) == 2.0
    assert int(validation.progress.best_round) == 1 and not validation.progress.stopped
    assert [row["evaluator_score"] for row in numbers] == [1.0, 3.0, 2.0]
    # The reward itself selects nothing.
    assert [row["held_out_reward"] for row in numbers] == [9.0] * 3


def test_without_improvement_the_sft_model_is_kept(painter):
    validation = validation_of(painter, {0.0: 1.0, 1.0: 0.5}, {0.0: 0.9, 1.0: 0.9})
    validate(painter, validation, [0.0, 1.0])
    assert best(painter, validation) == 0.0 and int(validation.progress.best_round) == 0


def test_losing_identity_stops_and_is_never_the_best(painter):
    validation = validation_of(painter, {0.0: 1.0, 1.0: 2.0, 2.0: 9.0}, {0.0: 0.9, 1.0: 0.81, 2.0: 0.79})
    validate(painter, validation, [0.0, 1.0])
    assert not validation.progress.stopped and best(painter, validation) == 1.0
    validate(painter, validation, [0.0, 1.0, 2.0])
    assert validation.progress.stopped and best(painter, validation) == 1.0


def test_nan_stops_too(painter):
    validation = validation_of(painter, {0.0: 1.0, 1.0: 2.0}, {0.0: 0.9, 1.0: float("nan")})
    validate(painter, validation, [0.0, 1.0])
    assert validation.progress.stopped and best(painter, validation) == 0.0


def test_progress_is_saved_with_the_state(painter):
    validation = validation_of(painter, {0.0: 1.0, 1.0: 3.0}, {0.0: 0.9, 1.0: 0.85})
    validate(painter, validation, [0.0, 1.0])
    other = validation_of(painter, {0.0: 1.0, 1.0: 3.0}, {0.0: 0.9, 1.0: 0.85})
    other.progress.load_state_dict(validation.progress.state_dict())
    assert float(other.progress.start_identity) == pytest.approx(0.9)
    assert (float(other.progress.best_score), int(other.progress.best_round)) == (3.0, 1)
    assert {tensor.numel() for tensor in validation.progress.state_dict().values()} == {1}
