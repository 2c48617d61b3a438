"""Every sample of a step is read once, for any number of microbatches and ranks."""

import pytest
import torch

from unichar.training import microbatches as module
from unichar.training.microbatches import (
    SampleIndex,
    all_gather_samples,
    context_rows,
    pictures_per_pass,
    rank_microbatches,
    rank_passes,
)


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
    assert [sample.index for samples in by_rank[0] for sample in samples if sample.weight] == [0, 1, 6, 7]
    every = [sample for microbatches in by_rank for samples in microbatches for sample in samples]
    assert sorted(sample.index for sample in every if sample.weight) == list(range(10))


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_pictures_of_a_prompt_stay_together_where_counts_allow(number):
    """Six prompts with four pictures each; a prompt in two microbatches is encoded twice."""
    prompts = [
        {sample.index // 4 for sample in samples} for samples in rank_microbatches(24, number, pad=True)
    ]
    assert sum(len(some) for some in prompts) == 6


@pytest.mark.parametrize(("count", "passes", "read"), [(5, 3, [3, 2]), (1, 1, [1, 0])])
def test_sharded_ranks_run_equally_many_passes_of_one_sample(monkeypatch, count, passes, read):
    monkeypatch.setattr(module, "world_size", lambda: 2)
    by_rank = []
    for rank in range(2):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        by_rank.append(rank_passes(count, 2, singly=True))
    assert [len(some) for some in by_rank] == [passes] * 2

    # Padding has no weight: every sample is read once.
    assert [sum(sample.weight for (sample,) in some) for some in by_rank] == read


@pytest.mark.parametrize(("prompts", "microbatches", "expected"), [(6, 1, 4), (6, 8, 2), (6, 99, 1)])
def test_whole_prompts_are_read_together_unless_microbatches_would_be_empty(prompts, microbatches, expected):
    assert pictures_per_pass(prompts, 4, microbatches) == expected


@pytest.mark.parametrize(
    ("prompts", "rows"),
    [("aabb", "ab"), ("aaaabb", "aab"), ("aab", "aab"), ("a", "a"), ("aabbaa", "aba")],
)
def test_a_context_has_as_few_rows_as_serve_equally_many_pictures(prompts, rows):
    assert context_rows(list(prompts)) == list(rows)


def test_values_are_gathered_in_the_order_of_samples():
    samples = [sample for each in rank_microbatches(5, 2, pad=True) for sample in each]
    samples.append(SampleIndex(0, 0.0))
    assert [sample.index for sample in samples] == [0, 1, 2, 3, 4, 0]

    values = torch.tensor([[float(sample.index)] if sample.weight else [9.0] for sample in samples])
    assert all_gather_samples(samples, values, 5).tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]]
