"""Metrics of a base."""

import random

import pytest
import torch

from unichar.domains.toon.captions import visible
from unichar.domains.toon.vocabulary import IDENTITY
from unichar.pretrain.measure import _identity_accuracy, _perplexity_ratio, _vqa_exact_match, psnr
from unichar.pretrain.toons import sample_toon


class Answers:
    """A model that always gives one answer."""

    def __init__(self, text: str) -> None:
        self.text = text

    def reply(self, conversations, **settings):
        return [self.text] * len(conversations)


class Scripted:
    """An encoder with fixed logits."""

    def __init__(self, logits):
        self.logits = logits

    def read(self, pixels):
        return self.logits


def test_psnr_of_a_known_error():
    a = torch.zeros(2, 3, 4, 4)
    b = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.02)])
    assert psnr(a, b).tolist() == pytest.approx([20.0, 40.0], abs=1e-4)


def test_exact_match_counts_exact_answers_only():
    toons = [sample_toon(random.Random(seed), 32) for seed in range(4)]
    assert _vqa_exact_match(Answers("no such answer"), toons, random.Random(0)) == 0
    some = _vqa_exact_match(Answers("yes"), toons, random.Random(0))
    assert 0 <= some < 1


def test_identity_accuracy_counts_visible_attributes():
    toons = [sample_toon(random.Random(seed), 32) for seed in range(6)]
    targets = [visible(toon.identity, toon.scene) for toon in toons]
    logits = {name: torch.zeros(6, len(values)) for name, values in IDENTITY.items()}
    for name, values in IDENTITY.items():
        for row, target in enumerate(targets):
            if name in target:
                logits[name][row, values.index(target[name])] = 1
    assert _identity_accuracy(Scripted(logits), torch.zeros(6, 3, 8, 8), targets) == 1
    opposite = {name: -value for name, value in logits.items()}
    assert _identity_accuracy(Scripted(opposite), torch.zeros(6, 3, 8, 8), targets) == 0


def test_the_bases_backbone_is_the_plain_one(model):
    assert _perplexity_ratio(model) == pytest.approx(1, abs=0.05)
