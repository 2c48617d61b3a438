"""States come back to the last bit, or not at all."""

import errno
import os

import pytest
import torch
from factories_learning import make_net, make_state

from unichar.learning.state import load_tensors, save_tensors


def train(net, optimizer, *, steps=3):
    for step in range(steps):
        x = torch.randn((8, 4), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def assert_same(net, other):
    for (name, tensor), twin in zip(net.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(tensor, twin), name


def test_weights_buffers_and_optimizer_come_back(tmp_path):
    net = make_net()
    optimizer, state = make_state(tmp_path, net)
    train(net, optimizer)
    state.save(3)
    other = make_net()
    other_optimizer, other_state = make_state(tmp_path, other)
    assert other_state.load() == 3
    assert_same(net, other)  # running means and their count, too
    assert int(other[1].num_batches_tracked) == 3
    moments, twins = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert moments.keys() == twins.keys()
    assert all(torch.equal(moments[i][slot], twins[i][slot]) for i in moments for slot in moments[i])
    train(net, optimizer)
    train(other, other_optimizer)
    assert_same(net, other)


def test_what_is_frozen_is_not_stored(tmp_path):
    _, state = make_state(tmp_path, make_net())
    state.save(0)
    assert {name for name in load_tensors(state.path)[0] if name.startswith("net.0")} == set()


def test_numbers_not_logged_yet_come_back(tmp_path):
    _, state = make_state(tmp_path, make_net())
    state.unlogged = {"steps": 2, "loss": 0.1 + 0.2}
    state.save(9)
    _, again = make_state(tmp_path, make_net())
    assert again.load() == 9
    assert again.unlogged == {"steps": 2, "loss": 0.1 + 0.2}


def test_without_a_file_a_run_starts_at_zero(tmp_path):
    _, state = make_state(tmp_path, make_net())
    assert state.load() == 0


def test_another_configuration_is_refused(tmp_path):
    _, state = make_state(tmp_path, make_net(), key="of yesterday")
    state.save(5)
    net = make_net()
    _, other = make_state(tmp_path, net, key="of today")
    with pytest.raises(ValueError) as caught:
        other.load()
    for words in (str(state.path), "of yesterday", "of today", "delete the file"):
        assert words in str(caught.value)
    assert_same(net, make_net())


def test_a_failed_write_leaves_the_old_state_and_nothing_else(tmp_path, monkeypatch):
    net = make_net()
    optimizer, state = make_state(tmp_path, net)
    state.save(1)
    before = state.path.read_bytes()
    train(net, optimizer)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("unichar.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        state.save(2)
    assert state.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


def test_tensors_of_any_layout_are_saved_as_they_look(tmp_path):
    grid = torch.arange(6.0).view(2, 3)
    save_tensors(tmp_path / "t.safetensors", {"turned": grid.T, "part": grid[:, 1:]}, {"who": "me"})
    tensors, metadata = load_tensors(tmp_path / "t.safetensors")
    assert torch.equal(tensors["turned"], grid.T) and torch.equal(tensors["part"], grid[:, 1:])
    assert metadata == {"who": "me"}
