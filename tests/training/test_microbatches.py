"""Every sample of a step is read once, for any number of microbatches and ranks."""

import torch

from unichar.training import microbatches as module
from unichar.training.microbatches import SampleIndex, all_gather_samples, rank_microbatches


def test_every_sample_of_a_step_is_in_one_microbatch():
    for count, number in [(8, 8), (8, 3), (3, 5), (0, 2)]:
        read = [sample.index for samples in rank_microbatches(count, number, pad=False) for sample in samples]
        assert sorted(read) == list(range(count))

        # One rank needs no padding.
        padded = [sample for samples in rank_microbatches(count, number, pad=True) for sample in samples]
        assert all(sample.weight == 1 for sample in padded)


def test_ranks_get_equally_many_samples_and_padding_has_no_weight(monkeypatch):
    monkeypatch.setattr(module, "world_size", lambda: 3)
    by_rank = []
    for rank in range(3):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        by_rank.append(rank_microbatches(10, 2, pad=True))

    lengths = [[len(samples) for samples in microbatches] for microbatches in by_rank]
    assert lengths == [[2, 2]] * 3
    every = [sample for microbatches in by_rank for samples in microbatches for sample in samples]
    assert sorted(sample.index for sample in every if sample.weight) == list(range(10))


def test_values_are_gathered_in_the_order_of_samples():
    samples = [sample for each in rank_microbatches(5, 2, pad=True) for sample in each]
    samples.append(SampleIndex(0, 0.0))
    assert [sample.index for sample in samples] == [0, 2, 4, 1, 3, 0]

    values = torch.tensor([[float(sample.index)] if sample.weight else [9.0] for sample in samples])
    assert all_gather_samples(samples, values, 5).tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]]
