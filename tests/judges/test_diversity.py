"""Diversity: how far each picture is from the others of its prompt."""

import torch
from factories_model import BASE, make_album, make_prior_images

from unichar.judges.diversity import leave_one_out
from unichar.judges.encoders import ToonEncoder, perceptual_distances, perceptual_vectors
from unichar.model.pixels import to_pixels


def test_identical_pictures_have_none_and_different_ones_some():
    same = make_album(1).images * 3
    vectors = perceptual_vectors(ToonEncoder(BASE), to_pixels([*same, *make_prior_images(3)])).view(2, 3, -1)
    scores = leave_one_out(vectors)
    assert scores.shape == (2, 3)
    assert (scores[0] < 1e-4).all() and (scores[1] > 0.1).all()


def test_the_odd_one_out_gets_the_most():
    """As a mean of the group it would cancel in group-relative advantages."""
    odd = [*make_album(1).images * 3, *make_prior_images(1)]
    scores = leave_one_out(perceptual_vectors(ToonEncoder(BASE), to_pixels(odd))[None])[0]
    assert scores[3] > 2.5 * scores[:3].max()


def test_it_is_the_mean_distance_to_the_others():
    vectors = perceptual_vectors(ToonEncoder(BASE), to_pixels(make_prior_images(4)))
    distances = perceptual_distances(vectors, vectors)
    expected = [sum(float(distances[i, j]) for j in range(4) if j != i) / 3 for i in range(4)]
    assert torch.allclose(leave_one_out(vectors[None])[0], torch.tensor(expected), atol=1e-5)
