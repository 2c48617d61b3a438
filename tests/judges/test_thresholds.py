"""Identity thresholds: alike, but not the same picture; both come from the kit."""

import pytest
import torch
from factories_model import BASE, make_album, make_prior_images

from unichar.domains.toon.vocabulary import IDENTITY, SCENE
from unichar.judges.copying import Copying
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.judges.identity import AttributeIdentity, FeatureIdentity, negatives
from unichar.judges.thresholds import IdentityThresholds
from unichar.model.pixels import to_pixels
from unichar.types import Prompt

NAMES = [name for name in IDENTITY if name != "skin"]

ALBUM = make_album(6, seed=1)
REFERENCES = to_pixels(ALBUM.images)
ELSEWHERE = [Prompt(text="", attributes=dict.fromkeys(SCENE, "elsewhere"))] * 6
"""Prompts that ask for nothing of what the references show."""


def scene_of(scene) -> dict[str, str]:
    return {name: getattr(scene, name) for name in SCENE}


def prompts_of(scenes) -> list[Prompt]:
    return [Prompt(text="Bramble", attributes=scene_of(scene)) for scene in scenes]


def thresholds_of(domain: str) -> tuple[IdentityThresholds, AttributeIdentity | FeatureIdentity]:
    if domain == "toon":
        encoder = ToonEncoder(BASE)
        likeness = AttributeIdentity(encoder, REFERENCES, names=NAMES)
        copying = Copying(encoder, REFERENCES, scenes=[scene_of(scene) for scene in ALBUM.scenes])
        return IdentityThresholds(likeness, copying, REFERENCES), likeness
    photo = FeatureIdentity(PhotoEncoder(BASE), REFERENCES, negatives(128))
    return IdentityThresholds(photo, Copying(PhotoEncoder(BASE), REFERENCES), REFERENCES), photo


@pytest.mark.parametrize(("domain", "least", "margin"), [("toon", 0.9, 0.3), ("photo", 0.5, 0.0)])
def test_between_the_thresholds_all_score_1_others_and_copies_less(domain, least, margin):
    """Without attributes, as with photographs, two toons on one beach count as half a copy."""
    judge, _ = thresholds_of(domain)
    other = make_album(12, seed=2)
    inside = judge.score(to_pixels(other.images), prompts_of(other.scenes))
    outside = judge.score(to_pixels(make_prior_images(12)), prompts_of(other.scenes))
    copies = judge.score(REFERENCES, ELSEWHERE)
    assert float(inside.max()) <= 1 and inside.mean() > least
    assert outside.mean() < inside.mean() - margin
    assert copies.mean() < 0.5


@pytest.mark.parametrize("domain", ["toon", "photo"])
def test_the_lower_threshold_is_the_median_of_the_references(domain):
    judge, likeness = thresholds_of(domain)
    if domain == "toon":
        rows = [torch.cat([REFERENCES[:i], REFERENCES[i + 1 :]]) for i in range(6)]
        rest = [AttributeIdentity(ToonEncoder(BASE), others, names=NAMES) for others in rows]
        alone = [float(rest[i].nearest(REFERENCES[i : i + 1])) for i in range(6)]
        assert judge.low == pytest.approx(float(torch.tensor(alone).median()), abs=1e-4)
    assert judge.low == pytest.approx(float(likeness.nearest(REFERENCES, others=True).median()))
    assert 0 < judge.low < float(likeness.nearest(REFERENCES).min())
