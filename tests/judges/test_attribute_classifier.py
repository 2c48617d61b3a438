"""The examiner sees pictures of the toon world at one size, stage by stage."""

import torch

from unichar.domains.toon.vocabulary import ATTRIBUTES
from unichar.judges.attribute_classifier import WIDTHS, AttributeClassifier


def test_shapes():
    net = AttributeClassifier().eval()
    pixels = torch.zeros(2, 3, 128, 128)
    sides = [(m.shape[1], m.shape[2], m.shape[3]) for m in net.features(pixels)]
    assert sides == [(width, 64 >> i, 64 >> i) for i, width in enumerate(WIDTHS)]
    assert {name: logits.shape for name, logits in net.read(pixels).items()} == {
        n: (2, len(v)) for n, v in ATTRIBUTES.items()
    }
