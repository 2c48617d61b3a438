"""Training of the attribute classifiers: labels, corruption, a real run and its accuracy."""

import math
import random

import pytest
import torch
from safetensors import safe_open

from unichar.domains.toon.captions import visible
from unichar.domains.toon.vocabulary import ATTRIBUTES
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.model.nano.vae import Vae
from unichar.pretrain.attribute_classifiers import (
    ClassifierPhase,
    _hits,
    _loss,
    corrupt,
    labels,
    measure,
    run,
)
from unichar.pretrain.toons import sample_toon
from unichar.training.curves import read_curve
from unichar.training.seeds import python_rng

PHASE = ClassifierPhase(title="examiner", steps=2, batch=8)


class Oracle:
    """Classifies as told."""

    def __init__(self, answers: dict[str, torch.Tensor]) -> None:
        self.answers, self.done = answers, 0

    def read(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        first, self.done = self.done, self.done + len(pixels)
        return {name: logits[first : self.done] for name, logits in self.answers.items()}


@pytest.fixture(scope="module")
def vae() -> Vae:
    return Vae().eval().requires_grad_(False)


def test_labels_are_the_visible_values():
    toons = [sample_toon(random.Random(seed), 32) for seed in range(12)]
    found = labels(toons)
    assert found.keys() == ATTRIBUTES.keys()
    for name, indices in found.items():
        for toon, index in zip(toons, indices.tolist(), strict=True):
            value = visible(toon.identity, toon.scene).get(name)
            assert index == (ATTRIBUTES[name].index(value) if value else -100)


def test_the_last_quarter_is_not_corrupted(vae):
    pixels = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    corrupted = corrupt(pixels, vae, torch.Generator().manual_seed(0))
    assert corrupted.shape == pixels.shape
    assert torch.equal(corrupted[6:], pixels[6:])
    assert all(not torch.allclose(corrupted[i], pixels[i], atol=0.01) for i in range(6))


def test_pictures_without_the_attribute_do_not_count():
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [9.0, 0.0]])
    target = torch.tensor([0, 0, -100])
    assert _loss(logits, target) == _loss(logits[:2], target[:2])
    assert _loss(logits, torch.full((3,), -100)) == 0
    assert _hits(logits, target).tolist() == [True, False]


def test_a_run_trains_and_resumes_where_it_was(vae, tmp_path):
    torch.manual_seed(0)
    classifier = AttributeClassifier()
    before = [parameter.clone() for parameter in classifier.parameters()]
    run(classifier, vae, PHASE, tmp_path, key="k")
    assert not classifier.training
    assert any(not torch.equal(a, b) for a, b in zip(before, classifier.parameters(), strict=True))
    assert {"loss", "accuracy"} <= read_curve(tmp_path / "curve.jsonl")[-1].keys()

    again = AttributeClassifier()
    run(again, vae, PHASE, tmp_path, key="k")
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), classifier.parameters(), strict=True))


def test_states_keep_their_tensor_names(vae, tmp_path):
    """A base that was begun before goes on."""
    run(AttributeClassifier(), vae, PHASE, tmp_path, key="k")
    with safe_open(str(tmp_path / "state.safetensors"), framework="pt") as file:
        assert any(name.startswith("reader.") for name in file.keys())  # noqa: SIM118


def test_accuracy_of_an_oracle_and_of_its_opposite():
    rng = python_rng(3, "measure")  # as `measure` draws
    targets = labels([sample_toon(rng, 32) for _ in range(5)])
    right = {}
    for name, values in ATTRIBUTES.items():
        right[name] = torch.nn.functional.one_hot(targets[name].clamp(min=0), len(values)).float()
    accuracy = measure(Oracle(right), count=5, seed=3, size=32)
    assert all(value == 1 for value in accuracy.values() if not math.isnan(value))
    wrong = measure(Oracle({name: -logits for name, logits in right.items()}), count=5, seed=3, size=32)
    assert all(value == 0 for value in wrong.values() if not math.isnan(value))
