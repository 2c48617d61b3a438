"""Copies of training pictures are found; pictures of somebody else are none."""

import pytest
import torch
from factories_model import BASE, make_album, make_prior_images

from unichar.judges.copying import Copying
from unichar.judges.encoders import PhotoEncoder, ToonEncoder
from unichar.model.pixels import to_pixels


@pytest.mark.parametrize(("eye", "false_alarms"), [(ToonEncoder, 0), (PhotoEncoder, 2)])
def test_copies_are_found_and_strangers_seldom_taken_for_one(eye, false_alarms):
    """To an eye for photographs two toons on one beach are close."""
    references = to_pixels(make_album(6, seed=1).images)
    judge = Copying(eye(BASE), references)
    blurred = to_pixels([image.resize((96, 96)).resize((128, 128)) for image in make_album(6, seed=1).images])
    for copies in (references, (references * 0.97).clamp(-1, 1), blurred):
        assert torch.equal(judge.score(copies), torch.ones(6))
    assert judge.score(to_pixels(make_prior_images(6))).sum() <= false_alarms
