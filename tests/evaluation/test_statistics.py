"""Intervals that cover, repeat, and refuse nonsense."""

import numpy as np
import pytest

from unichar.evaluation.statistics import Estimate, cluster_estimate, estimate, evenly_spaced


def test_value_is_the_mean_inside_its_interval():
    found = estimate([0.2, 0.4, 0.9, 0.7])
    assert found.value == pytest.approx(0.55)
    assert 0.2 <= found.low < found.value < found.high <= 0.9
    assert found.n == 4


def test_same_seed_same_interval_other_seed_another():
    values = list(np.random.default_rng(3).normal(size=40))
    assert estimate(values, seed=1) == estimate(values, seed=1)
    assert estimate(values, seed=1).low != estimate(values, seed=2).low


def test_interval_covers_the_true_mean_about_95_times_in_100():
    rng = np.random.default_rng(0)
    found = [estimate(rng.exponential(size=60), seed=i, resamples=300) for i in range(300)]
    covered = sum(f.low <= 1.0 <= f.high for f in found) / len(found)
    assert 0.88 <= covered <= 0.98


def test_weights_give_the_mean_per_token():
    found = estimate([2.0, 5.0], weights=[30, 10])
    assert found.value == pytest.approx(2.75)
    assert found.n == 2


def test_more_items_narrow_the_interval():
    values = np.random.default_rng(0).normal(size=400)
    few, many = estimate(values[:25]), estimate(values)
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_groups_that_agree_within_themselves_widen_the_interval():
    rng = np.random.default_rng(0)
    groups = [list(rng.normal() + 0.01 * rng.normal(size=8)) for _ in range(12)]
    clustered = cluster_estimate(groups)
    naive = estimate([value for group in groups for value in group])
    assert clustered.value == pytest.approx(naive.value)
    assert clustered.n == naive.n == 96
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_groups_of_different_size_count_by_their_values():
    assert cluster_estimate([[1.0], [0.0, 0.0, 0.0]]).value == pytest.approx(0.25)


def test_one_item_shows_no_spread():
    assert estimate([0.4]) == Estimate(value=0.4, low=0.4, high=0.4, n=1)


def test_json_has_the_four_numbers_of_the_contract():
    assert estimate([1, 1]).to_json() == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 2}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: estimate([]), "at least one number"),
        (lambda: estimate([0.1, float("nan")]), "number 1 of 2 is nan"),
        (lambda: estimate([1.0, 2.0], weights=[1.0]), "2 positive numbers"),
        (lambda: estimate([1.0, 2.0], weights=[1.0, 0.0]), "positive"),
        (lambda: estimate([1.0], resamples=0), "resamples"),
        (lambda: cluster_estimate([]), "no groups"),
        (lambda: cluster_estimate([[1.0], []]), "a group must be"),
    ],
)
def test_nonsense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_selection_is_spread_over_the_whole():
    assert evenly_spaced(range(10), 4) == [0, 2, 5, 7]
    assert evenly_spaced("abc", 3) == evenly_spaced("abc", 99) == ["a", "b", "c"]
