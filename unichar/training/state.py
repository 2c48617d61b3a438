"""Training state on disk: what a run needs to resume after a kill, written so that a crash cannot damage it.

A state is one safetensors file: the trainable tensors, every optimizer's tensors, and the step in the
metadata. It is written to a temporary file, flushed to disk and renamed, so that a reader sees the old state
or the new one. Tensors are written one after the other, so that a save needs memory for one more tensor, for
any number of tensors and ranks. (The paper's code gathers the weights of all ranks at once, a terabyte for
eight of them.)
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from unichar.errors import UserError
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


class OtherRun(UserError):
    """A training state belongs to another run: other settings, seed or base."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically, one tensor at a time.

    Collective: all ranks call it, since sharded tensors are gathered; rank 0 writes.

    Args:
        path: File to replace.
        tensors: Name -> tensor; sharded ones are written in full.
        metadata: Texts for the header of the file.
    """
    # Wide dtypes first, so that every tensor starts at a multiple of its element size.
    ordered = dict(sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])))

    # In the same order as rank 0, since gathering a sharded tensor takes all ranks.
    if not is_main():
        for tensor in ordered.values():
            whole(tensor.detach())
        return

    # Written by hand: safetensors' own writer wants all tensors in memory at once.
    header = _header(ordered, metadata)
    with replacing(path) as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for tensor in ordered.values():
            flat = whole(tensor.detach()).cpu().contiguous().flatten()  # [number of elements]
            file.write(flat.view(torch.uint8).numpy().data)


def _header(tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> bytes:
    """A safetensors header: JSON with dtype, shape and offsets of each tensor, padded to 8 bytes."""
    # Offsets count from the end of the header, without gaps.
    about: dict[str, Any] = {"__metadata__": metadata}
    end = 0

    for name, tensor in tensors.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        about[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }

    # Padded with spaces, which JSON ignores, so that the tensors start at a multiple of 8 bytes.
    text = json.dumps(about, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of a safetensors file."""
    with safe_open(str(path), framework="pt") as file:
        # A safetensors file is not iterable itself.
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return tensors, file.metadata() or {}


def run_key(**parts: Any) -> str:
    """What a run is made from, as readable JSON, for `TrainState.key`.

    Microbatches are left out: a run may go on with as many as fit another GPU, since they change nothing but
    rounding.

    Example: `run_key(config=dataclasses.asdict(config), seed=0, base_sha256="ab12…")`
    """
    return json.dumps(_without_microbatches(parts), sort_keys=True)


def _without_microbatches(value: Any) -> Any:
    """A value without that setting, at any depth."""
    if not isinstance(value, dict):
        return value
    return {name: _without_microbatches(each) for name, each in value.items() if name != "microbatches"}


class TrainState:
    """Saves and restores the trainable parameters and buffers of modules, and optimizers, at a step.

    Example: `TrainState(folder / "state.safetensors", {"net": net}, {"adamw": optimizer}, key="x").load()`
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
        """Sums since the last line of the curve, saved so that a resumed run logs the same means."""

    def _trained_tensors(self) -> dict[str, Tensor]:
        """What training changes: trainable parameters, and buffers such as running means."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in self._modules.items():
            # By name: the scales of frozen weights in 4 bits are in state_dict too, 0.8 GB for BAGEL.
            parameters = module.named_parameters(remove_duplicate=False)
            changing = {name for name, parameter in parameters if parameter.requires_grad}
            changing |= {name for name, _ in module.named_buffers(remove_duplicate=False)}

            # state_dict knows which buffers are saved; keep_vars gives the parameters themselves.
            for name, tensor in module.state_dict(keep_vars=True).items():
                if name in changing:
                    tensors[f"{prefix}.{name}"] = tensor
        return tensors

    def save(self, step: int) -> None:
        """Write the state reached after `step` steps.

        Raises:
            SaveFailed: The disk is full or refuses; the state saved before is untouched.
        """
        # Optimizer slots are named by parameter index, as torch numbers them.
        tensors = self._trained_tensors()
        for prefix, optimizer in self._optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"{prefix}/{index}/{slot}"] = value

        # One file, so that tensors and step always belong together.
        about = {"step": json.dumps(step), "key": self.key, "unlogged": json.dumps(self.unlogged)}
        try:
            save_tensors(self.path, tensors, about)
        except OSError as error:
            raise SaveFailed(self._refused(tensors.values(), step, error)) from error
        self._saved = step

    def _refused(self, tensors: Iterable[Tensor], step: int, error: OSError) -> str:
        # What the user needs to know: how much space, and what is lost.
        need = sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6
        kept = "nothing was saved before"
        if self.path.exists():
            kept = f"the state of step {self._saved} is intact"

        return (
            f"could not save step {step} to {self.path}: {error.strerror or error}; {kept}. "
            f"Free {max(1, need):.0f} MB, then run the same command again: it goes on from there"
        )

    def load(self) -> int:
        """Restore the saved state and return its step; 0 if none was saved.

        Raises:
            OtherRun: The saved state belongs to another run; the message names what differs.
        """
        if not self.path.exists():
            return 0

        # A state of other settings is refused before anything is copied.
        tensors, metadata = load_tensors(self.path)
        if metadata["key"] != self.key:
            changed = "; ".join(differences(metadata["key"], self.key))
            raise OtherRun(
                f"{self.path} was saved by another run: {changed}. "
                "Delete the file to start over, or run with what it was saved with"
            )

        # In place: optimizers and adapters keep their references.
        for name, tensor in self._trained_tensors().items():
            assign(tensor, tensors[name])
        for prefix, optimizer in self._optimizers.items():
            self._load_optimizer(prefix, optimizer, tensors)
        self.unlogged = json.loads(metadata.get("unlogged", "{}"))
        self._saved = json.loads(metadata["step"])

        # Otherwise rank 0 could replace the file while another rank still reads it.
        wait_for_all()
        return self._saved

    @staticmethod
    def _load_optimizer(prefix: str, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
        """Restore the optimizer whose tensors are named `<prefix>/<index of the parameter>/<slot>`."""
        # In the order of the groups, which is how torch numbers them.
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}

        for name, tensor in tensors.items():
            if name.startswith(f"{prefix}/"):
                _, index, slot = name.split("/")
                state.setdefault(int(index), {})[slot] = _like(parameters[int(index)], tensor)

        # Only the slots are restored; learning rates come from the settings and the schedule.
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _like(parameter: Tensor, slot: Tensor) -> Tensor:
    """A slot of an optimizer, sharded as its parameter is. A step count, of another shape, stays."""
    if slot.shape != parameter.shape:
        return slot

    # Slots as large as their parameter are split like it.
    sharded = torch.empty_like(parameter, dtype=slot.dtype)
    assign(sharded, slot)
    return sharded


def differences(old: str, new: str) -> list[str]:
    """What differs between two keys, as `config.steps 100, now 200`; the keys themselves if one is no JSON
    object.
    """
    try:
        # Compared setting by setting, so that the message can name what was changed.
        before, after = _flat(json.loads(old)), _flat(json.loads(new))
    except (json.JSONDecodeError, AttributeError):
        return [f"{old}, now {new}"]

    changed = []
    for name in sorted(before.keys() | after.keys()):
        was, now = _shown(before, name), _shown(after, name)
        if was != now:
            changed.append(f"{name} {was}, now {now}")
    return changed


def _shown(values: dict[str, Any], name: str) -> str:
    return json.dumps(values[name]) if name in values else "absent"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested object as one level, with paths as names: `{"nft": {"beta": 1}}` is `{"nft.beta": 1}`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        # An empty object is kept as a value, or its removal would go unnoticed.
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
