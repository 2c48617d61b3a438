"""Training state on disk: what is needed to go on after a kill, written so that a crash can not spoil it.

One safetensors file a state: the trainable tensors, every optimizer's tensors, and the step in the metadata. It is
written beside its final name, flushed to the disk and renamed, so a reader sees the old state or the new one.
"""

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from unichar.files import write_atomic


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically; tensors are brought to the CPU and made contiguous first."""
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(flat, metadata))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """(tensors, metadata) of a safetensors file."""
    with safe_open(str(path), framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


class TrainState:
    """Saves and restores modules (what trains, and buffers) and optimizers at a step.

    Example: `state = TrainState(folder / "state.safetensors", {"expert": expert}, {"adamw": optimizer}, key=fingerprint)`
    """

    def __init__(self, path: Path, modules: dict[str, nn.Module], optimizers: dict[str, Optimizer], *, key: str) -> None:
        self.path = path
        self.key = key
        self._modules = modules
        self._optimizers = optimizers
        self.unlogged: dict[str, float] = {}
        """Sums since the last line of the curve; kept with the state, so that a resumed run logs what it would have logged."""

    def _moving(self) -> dict[str, Tensor]:
        """What training changes: trainable parameters, and buffers such as running means."""
        named: dict[str, Tensor] = {}
        for prefix, module in self._modules.items():
            frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
            named |= {f"{prefix}.{name}": t for name, t in module.state_dict(keep_vars=True).items() if name not in frozen}
        return named

    def save(self, step: int) -> None:
        """Write the state reached after `step` steps."""
        tensors = self._moving()
        for prefix, optimizer in self._optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    tensors[f"{prefix}/{index}/{slot}"] = value
        save_tensors(self.path, tensors, {"step": json.dumps(step), "key": self.key, "unlogged": json.dumps(self.unlogged)})

    def load(self) -> int:
        """Restore the state, if one was saved, and return its step (0 without one).

        Raises:
            ValueError: The saved state belongs to another configuration.
        """
        if not self.path.exists():
            return 0
        tensors, metadata = load_tensors(self.path)
        if metadata["key"] != self.key:
            raise ValueError(
                f"{self.path} was saved by another configuration ({metadata['key']}, now {self.key}): "
                "delete the file to start over, or run with the settings it was saved with"
            )
        for name, tensor in self._moving().items():
            tensor.data.copy_(tensors[name])
        for prefix, optimizer in self._optimizers.items():
            self._load_optimizer(prefix, optimizer, tensors)
        self.unlogged = json.loads(metadata.get("unlogged", "{}"))
        return json.loads(metadata["step"])

    @staticmethod
    def _load_optimizer(prefix: str, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"{prefix}/"):
                _, index, slot = name.split("/")
                state.setdefault(int(index), {})[slot] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
