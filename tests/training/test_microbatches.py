"""Every item of a step is read once, whatever the number of parts and processes."""

import torch

from unichar.training import microbatches as module


def test_every_item_of_a_step_is_in_one_part():
    for count, parts in [(8, 8), (8, 3), (3, 5), (0, 2)]:
        places = [row.place for part in module.shares(count, parts, even=False) for row in part]
        assert sorted(places) == list(range(count))
        assert all(row.weight == 1 for part in module.shares(count, parts, even=True) for row in part)


def test_no_process_is_left_behind_and_fillers_weigh_nothing(monkeypatch):
    monkeypatch.setattr(module, "world", lambda: 3)
    read = []
    for rank in range(3):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        read.append(module.shares(10, 2, even=True))
    assert [[len(part) for part in parts] for parts in read] == [[2, 2]] * 3
    weighed = [row.place for parts in read for part in parts for row in part if row.weight]
    assert sorted(weighed) == list(range(10))


def test_what_was_found_out_of_order_comes_back_by_place():
    rows = [row for part in module.shares(5, 2, even=True) for row in part] + [module.Row(0, 0.0)]
    values = torch.tensor([[float(row.place)] if row.weight else [9.0] for row in rows])
    assert [row.place for row in rows] == [0, 2, 4, 1, 3, 0]
    assert module.all_gather_rows(rows, values, 5).tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]]
