"""Random toons and their augmentation."""

import random

import torch

from unichar.pretrain.toons import roughen, sample_toon


def pixels(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_seed_decides_the_toon():
    one, same, other = (sample_toon(random.Random(seed), 32) for seed in (1, 1, 2))
    assert one.image.size == (32, 32)
    assert one.identity == same.identity and one.image.tobytes() == same.image.tobytes()
    assert one.image.tobytes() != other.image.tobytes()


def test_a_quarter_of_a_batch_is_augmented():
    batch = pixels(8)
    augmented = roughen(batch, random.Random(0), torch.Generator().manual_seed(0))
    assert augmented.shape == batch.shape and augmented.abs().max() <= 1
    assert not torch.allclose(augmented[:2], batch[:2], atol=0.1)
    assert torch.equal(augmented[2:], batch[2:])


def test_a_batch_too_small_for_a_quarter_stays():
    batch = pixels(3)
    assert torch.equal(roughen(batch, random.Random(0), torch.Generator()), batch)
