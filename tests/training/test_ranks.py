"""With one process every function does nothing; several are tested in `tests/sft/test_processes.py`."""

import pytest
import torch

from unichar.errors import UserError
from unichar.training import ranks as distributed


def test_without_a_launcher_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    distributed.init_process_group()
    assert (distributed.launched(), distributed.world_size()) == (1, 1)
    assert (distributed.rank(), distributed.is_main()) == (0, True)
    assert distributed.total([1.5, 2]) == [1.5, 2]
    assert distributed.any_of(True, False) == (True, False)
    assert distributed.from_main(3.0) == 3.0 and distributed.broadcast_text("here") == "here"
    distributed.wait_for_all()
    distributed.destroy_process_group()


def test_alone_gradients_stay_as_they_are():
    weights = [torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)]
    weights[0].sum().backward()
    distributed.sum_gradients(weights)
    assert weights[0].grad.tolist() == [1, 1] and weights[1].grad is None


def test_whole_tensors_are_assigned_as_they_are():
    target = torch.zeros(3, requires_grad=True)
    distributed.assign(target, torch.arange(3.0))
    assert target.tolist() == [0, 1, 2] and distributed.whole(target) is target


@pytest.mark.parametrize(
    ("wanted", "has_gpu", "expected"),
    [
        (None, False, "cpu"),
        ("", True, "cuda:1"),
        ("auto", False, "cpu"),
        ("auto", True, "cuda:1"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("cuda", True, "cuda:1"),
    ],
)
def test_the_device_is_the_one_that_the_environment_asks_for(monkeypatch, wanted, has_gpu, expected):
    selected = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "set_device", selected.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("UNICHAR_DEVICE", wanted or "")
    if wanted is None:
        monkeypatch.delenv("UNICHAR_DEVICE")
    assert distributed.local_device() == torch.device(expected)
    assert selected == ([torch.device("cuda", 1)] if expected != "cpu" else [])


def test_a_device_that_is_not_there_or_unknown_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("UNICHAR_DEVICE", "cuda")
    with pytest.raises(UserError, match=r"UNICHAR_DEVICE is cuda, .* finds no GPU: .* auto or cpu"):
        distributed.local_device()
    for unknown in ("gpu", "cuda:0", "CPU"):
        monkeypatch.setenv("UNICHAR_DEVICE", unknown)
        with pytest.raises(UserError, match=f"UNICHAR_DEVICE is '{unknown}', expected auto, cpu or cuda"):
            distributed.local_device()
