"""What fits on one GPU: every plan that is shown fits, and larger cards never need more microbatches."""

import pytest

from unichar.cost.cards import CARDS, cards_table, what_fits
from unichar.cost.workload import ROLESCAPE
from unichar.presets import bagel


@pytest.fixture(scope="module")
def rows():
    return what_fits(bagel(), ROLESCAPE, mfu=0.35)


def test_what_is_planned_fits(rows):
    for row in rows:
        for entry in row["cards"]:
            for stage, number in entry["microbatches"].items():
                assert (number is None) == (entry["peak"][stage] > 0.9 * entry["memory"])


def test_larger_cards_never_need_more_microbatches(rows):
    for row in rows:
        for stage in ("sft", "grpo"):
            numbers = [entry["microbatches"][stage] or 1000 for entry in row["cards"]]
            assert numbers == sorted(numbers, reverse=True)


def test_four_bits_at_512_pixels_fit_24_gb_and_bf16_does_not(rows):
    by_way = {(row["size"], row["weights"], row["tuning"]): row["cards"][0] for row in rows}
    assert None not in by_way[512, "nf4", "adapters"]["microbatches"].values()
    assert max(by_way[512, "nf4", "adapters"]["peak"].values()) <= 22e9
    assert set(by_way[512, "bf16", "adapters"]["microbatches"].values()) == {None}
    assert set(by_way[1024, "bf16", "full tuning"]["microbatches"].values()) == {None}


def test_hours_follow_the_peak_of_the_card_and_the_size_of_pictures(rows):
    small, _, _, large, *_ = rows
    assert small["cards"][0]["hours"] == pytest.approx(
        small["cards"][2]["hours"] * CARDS[2].peak / CARDS[0].peak
    )
    assert large["cards"][2]["hours"] > 3 * small["cards"][2]["hours"]


def test_the_table_has_a_line_for_each_way_and_a_dash_where_nothing_fits(rows):
    lines = cards_table(rows)
    assert len(lines) == 3 + len(rows) and "RTX 4090, 24 GB" in lines[2]
    assert "- / -" in lines[-1] and " h" not in lines[-1]
    assert max(map(len, lines)) <= 120
