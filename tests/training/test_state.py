"""States come back to the last bit, or not at all."""

import errno
import json
import os
import tracemalloc

import pytest
import torch
from factories_training import make_net, make_state
from safetensors.torch import load_file, save
from torch import nn

from unichar.training.state import OtherRun, SaveFailed, differences, load_tensors, run_key, save_tensors


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
    multimodal_turns, twins = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert multimodal_turns.keys() == twins.keys()
    assert all(
        torch.equal(multimodal_turns[i][slot], twins[i][slot])
        for i in multimodal_turns
        for slot in multimodal_turns[i]
    )
    train(net, optimizer)
    train(other, other_optimizer)
    assert_same(net, other)


def test_frozen_weights_are_not_stored(tmp_path):
    _, state = make_state(tmp_path, make_net())
    state.save(0)
    assert {name for name in load_tensors(state.path)[0] if name.startswith("net.0")} == set()


def test_a_frozen_weight_with_two_names_is_not_stored_either(tmp_path):
    net = make_net()
    net.append(nn.Linear(4, 6))
    net[3].weight = net[0].weight
    net[3].bias.requires_grad_(False)
    _, state = make_state(tmp_path, net)
    state.save(0)
    assert not [name for name in load_tensors(state.path)[0] if name.startswith("net.3")]


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


def test_the_state_of_another_run_is_refused_with_the_differences(tmp_path):
    _, state = make_state(
        tmp_path,
        make_net(),
        key=run_key(config={"steps": 100, "lr": 1e-3, "mix": {"a": 1}}, base_sha256="ab"),
    )
    state.save(5)
    net = make_net()
    _, other = make_state(
        tmp_path, net, key=run_key(config={"steps": 200, "lr": 1e-3, "mix": {"b": 1}}, base_sha256="cd")
    )
    with pytest.raises(OtherRun) as caught:
        other.load()
    words = str(caught.value)
    for part in (
        str(state.path),
        "config.steps 100, now 200",
        'base_sha256 "ab", now "cd"',
        "config.mix.a 1, now absent",
        "Delete",
    ):
        assert part in words
    assert "lr" not in words
    assert_same(net, make_net())


def test_settings_read_back_are_the_settings_that_were_written():
    key = run_key(config={"targets": ("q", "k"), "mix": {}, "clip": 1.0}, seed=0)
    assert differences(key, json.dumps(json.loads(key))) == []
    assert differences(key, run_key(config={"targets": ("q",), "mix": {}, "clip": 1.0}, seed=0)) == [
        'config.targets ["q", "k"], now ["q"]'
    ]


def test_a_run_goes_on_with_other_microbatches():
    """Another GPU takes other microbatches, which change nothing but rounding."""
    keys = [
        run_key(config={"steps": 3, "microbatches": number, "rollout": {"microbatches": number}})
        for number in (1, 4)
    ]
    assert keys[0] == keys[1] == run_key(config={"steps": 3, "rollout": {}})


@pytest.mark.parametrize(
    ("old", "new"), [("of yesterday", "of today"), ("of yesterday", run_key(seed=1)), ("3", "{}")]
)
def test_keys_that_are_no_settings_are_shown_as_they_are(old, new):
    assert differences(old, new) == [f"{old}, now {new}"]


def test_a_failed_write_leaves_the_old_state_and_nothing_else(tmp_path, monkeypatch):
    net = make_net()
    optimizer, state = make_state(tmp_path, net)
    state.save(1)
    before = state.path.read_bytes()
    train(net, optimizer)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("unichar.store.files.os.fsync", full)
    with pytest.raises(
        SaveFailed, match=r"step 2 to .*No space left.*the state of step 1 is intact.*Free 1 MB"
    ):
        state.save(2)
    assert state.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


def test_tensors_of_any_memory_layout_are_saved_by_value(tmp_path):
    grid = torch.arange(6.0).view(2, 3)
    save_tensors(tmp_path / "t.safetensors", {"turned": grid.T, "part": grid[:, 1:]}, {"who": "me"})
    tensors, metadata = load_tensors(tmp_path / "t.safetensors")
    assert torch.equal(tensors["turned"], grid.T) and torch.equal(tensors["part"], grid[:, 1:])
    assert metadata == {"who": "me"}


def test_other_safetensors_readers_read_the_file(tmp_path):
    tensors = {
        "half": torch.randn(3, 5).bfloat16(),
        "count": torch.tensor(7),
        "nothing": torch.empty(0, 4),
        "mask": torch.tensor([True, False]),
        "odd": torch.arange(3, dtype=torch.uint8),
        "wide": torch.randn(2, 2, dtype=torch.float64),
    }
    save_tensors(tmp_path / "t.safetensors", tensors, {"who": "me"})
    back = load_file(tmp_path / "t.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name
    assert len(save(tensors, {"who": "me"})) == (tmp_path / "t.safetensors").stat().st_size


def test_a_save_needs_no_copy_of_everything(tmp_path):
    """Memory that Python or NumPy hands out; the tensors themselves are PyTorch's and do not count."""
    tensors = {f"part {i}": torch.zeros(250_000) for i in range(20)}
    tracemalloc.start()
    save_tensors(tmp_path / "t.safetensors", tensors, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "t.safetensors").stat().st_size > 20e6 and peak < 2e6
