"""Training state on disk: what is needed to go on after a kill, written so that a crash can not spoil it.

One safetensors file a state: the trainable tensors, every optimizer's tensors, and the step in the metadata.
It is written beside its final name, flushed to the disk and renamed, so a reader sees the old state or the
new one. Tensors are written one after the other: a save needs memory for one tensor more, however many there
are and over however many processes they are split. (The paper's code gathers all ranks' weights at once, a
terabyte for eight of them.)
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from unichar.store.files import replacing
from unichar.training.ranks import assign, is_main, wait_for_all, whole

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Names of the types in a safetensors header."""


class SaveFailed(OSError):
    """The disk refused a training state; the one saved before is intact."""


class OtherRun(ValueError):
    """A training state belongs to another run: other settings, seed or base."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically, one tensor at a time.

    With several processes all of them call it, since split tensors are gathered; process 0 writes.
    """
    # Wide types first, so that every tensor starts at a multiple of its width.
    rows = dict(sorted(tensors.items(), key=lambda row: (-row[1].element_size(), row[0])))
    if not is_main():
        for tensor in rows.values():
            whole(tensor.detach())
        return
    header = _header(rows, metadata)
    with replacing(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for tensor in rows.values():
            flat = whole(tensor.detach()).cpu().contiguous().flatten()
            file.write(flat.view(torch.uint8).numpy().data)


def _header(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """What a safetensors file begins with: JSON with type, shape and place of each tensor, filled up to a
    multiple of 8 bytes.
    """
    about: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        about[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(about, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of a safetensors file."""
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def run_key(**parts: Any) -> str:
    """What a run is made from, as readable JSON for `TrainState.key`.

    Example: `run_key(config=dataclasses.asdict(config), seed=0, base_sha256="ab12…")`
    """
    return json.dumps(parts, sort_keys=True)


class TrainState:
    """Saves and restores modules (what trains, and buffers) and optimizers at a step.

    Example: `state = TrainState(folder / "state.safetensors", {"expert": expert}, {"adamw": optimizer},
    key=run_key(seed=0))`
    """

    def __init__(
        self, path: Path, modules: dict[str, nn.Module], optimizers: dict[str, Optimizer], *, key: str
    ) -> None:
        self.path = path
        self.key = key
        self._modules = modules
        self._optimizers = optimizers
        self._saved = 0
        self.unlogged: dict[str, float] = {}
        """Sums since the last line of the curve; kept with the state, so that a resumed run logs what it
        would have logged.
        """

    def _moving(self) -> dict[str, Tensor]:
        """What training changes: trainable parameters, and buffers such as running means."""
        named: dict[str, Tensor] = {}
        for prefix, module in self._modules.items():
            # Under every name a weight has: a frozen output layer that shares the input's would else be
            # stored.
            named_weights = module.named_parameters(remove_duplicate=False)
            frozen = {name for name, parameter in named_weights if not parameter.requires_grad}
            named |= {
                f"{prefix}.{name}": t
                for name, t in module.state_dict(keep_vars=True).items()
                if name not in frozen
            }
        return named

    def save(self, step: int) -> None:
        """Write the state reached after `step` steps.

        Raises:
            SaveFailed: The disk is full or refuses; the state saved before is untouched.
        """
        tensors = self._moving()
        for prefix, optimizer in self._optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"{prefix}/{index}/{slot}"] = value
        about = {"step": json.dumps(step), "key": self.key, "unlogged": json.dumps(self.unlogged)}
        try:
            save_tensors(self.path, tensors, about)
        except OSError as error:
            raise SaveFailed(self._refused(tensors.values(), step, error)) from error
        self._saved = step

    def _refused(self, tensors: Iterable[Tensor], step: int, error: OSError) -> str:
        need = sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6
        kept = (
            f"the state of step {self._saved} is intact" if self.path.exists() else "nothing was saved before"
        )
        return (
            f"could not save step {step} to {self.path}: {error.strerror or error}; {kept}. "
            f"Make room for {max(1, need):.0f} MB, then run the same command again: it goes on from there"
        )

    def load(self) -> int:
        """Restore the state, if one was saved, and return its step (0 without one).

        Raises:
            OtherRun: The saved state belongs to another run; the message names what differs.
        """
        if not self.path.exists():
            return 0
        tensors, metadata = load_tensors(self.path)
        if metadata["key"] != self.key:
            raise OtherRun(
                f"{self.path} was saved by another run: {'; '.join(differences(metadata['key'], self.key))}. "
                "Delete the file to start over, or run with what it was saved with"
            )
        for name, tensor in self._moving().items():
            assign(tensor, tensors[name])
        for prefix, optimizer in self._optimizers.items():
            self._load_optimizer(prefix, optimizer, tensors)
        self.unlogged = json.loads(metadata.get("unlogged", "{}"))
        self._saved = json.loads(metadata["step"])
        wait_for_all()  # else process 0 might replace the file while another still reads it
        return self._saved

    @staticmethod
    def _load_optimizer(prefix: str, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"{prefix}/"):
                _, index, slot = name.split("/")
                state.setdefault(int(index), {})[slot] = _like(parameters[int(index)], tensor)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _like(parameter: Tensor, slot: Tensor) -> Tensor:
    """A slot of an optimizer, split as its parameter is; a count of steps is one number everywhere."""
    if slot.shape != parameter.shape:
        return slot
    split = torch.empty_like(parameter, dtype=slot.dtype)
    assign(split, slot)
    return split


def differences(old: str, new: str) -> list[str]:
    """What differs between two keys, as `config.steps 100, now 200`; the keys themselves where one is no JSON
    object.
    """
    try:
        before, after = _flat(json.loads(old)), _flat(json.loads(new))
    except (json.JSONDecodeError, AttributeError):
        return [f"{old}, now {new}"]
    pairs = [
        (name, _shown(before, name), _shown(after, name)) for name in sorted(before.keys() | after.keys())
    ]
    return [f"{name} {was}, now {now}" for name, was, now in pairs if was != now]


def _shown(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "absent"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects with their fields' paths as names."""
    rows: dict[str, Any] = {}
    for name, value in values.items():
        rows |= (
            _flat(value, f"{prefix}{name}.")
            if isinstance(value, dict) and value
            else {f"{prefix}{name}": value}
        )
    return rows
