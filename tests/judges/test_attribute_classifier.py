"""The held-out attribute classifier sees pictures of 128 pixels, stage by stage."""

import torch

from unichar.domains.toon.vocabulary import ATTRIBUTES
from unichar.judges.attribute_classifier import WIDTHS, AttributeClassifier


def test_shapes():
    net = AttributeClassifier().eval()
    pixels = torch.zeros(2, 3, 128, 128)
    sides = [(m.shape[1], m.shape[2], m.shape[3]) for m in net.features(pixels)]
    assert sides == [(width, 64 >> i, 64 >> i) for i, width in enumerate(WIDTHS)]

    shapes = {name: logits.shape for name, logits in net.read(pixels).items()}
    assert shapes == {name: (2, len(values)) for name, values in ATTRIBUTES.items()}
