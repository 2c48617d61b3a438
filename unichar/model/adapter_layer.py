"""A linear layer with a LoRA adapter that computes in the type of its activations and is stored in fp32.

peft casts a bf16 layer's input to fp32, multiplies in fp32 and casts the sum back: on a GPU that is fp32
arithmetic without tensor cores, and more bytes moved than by the layer itself (decision 32). Here the
adapter's weights, which are small, are cast instead of the activations. Their gradients are fp32, so an
optimizer's small steps are not lost.

Where activations have the type of the weights (fp32), and under autocast, which casts by itself, the layer is
peft's own to the last bit. The base layer may be bitsandbytes' `Linear4bit`.

Shape letters: N tokens, I inputs, O outputs, r rank.
"""

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear
from torch import Tensor
from torch.distributed.tensor import DTensor

from unichar.training.ranks import whole


class AdapterSwitch:
    """Turns off all adapters that share it, in constant time: peft's own switch visits every module."""

    def __init__(self) -> None:
        self.enabled = True
        """Whether adapters are asked for."""
        self.merged = False
        """Whether the base weights hold them already."""

    @property
    def is_off(self) -> bool:
        """Whether base layers answer alone."""
        return self.merged or not self.enabled


class AdapterLinear(Linear):
    """peft's LoRA layer without casts of activations."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.switch = AdapterSwitch()

        # peft's forward runs only where types agree or autocast makes them agree.
        self.cast_input_dtype_enabled = False

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        """[..., I] -> [..., O]."""
        if self.switch.is_off:
            return self.base_layer(x, *args, **options)
        if self.disable_adapters or not self._needs_casts(x):
            return super().forward(x, *args, **options)

        # Two axes: the sum below is in place, and autograd would copy the gradient of a view of it.
        flat = x.flatten(0, -2)  # [N, I]
        y: Tensor = self.base_layer(flat, *args, **options)  # [N, O]

        for name in self.active_adapters:
            a, b = self._adapter(name)
            low = F.linear(self.lora_dropout[name](flat), a.to(y.dtype))  # [N, r]

            # One kernel multiplies, scales and adds, so that y is read and written once.
            y.addmm_(low, b.to(y.dtype).t(), alpha=self.scaling[name])
        return y.unflatten(0, x.shape[:-1])

    def _needs_casts(self, x: Tensor) -> bool:
        """Whether activations and adapters differ in type; False for adapters that are more than A and B."""
        if self.lora_variant or any(self.lora_bias.values()):
            return False
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            return False
        return any(x.dtype != self._adapter(name)[0].dtype for name in self.active_adapters)

    def _adapter(self, name: str) -> tuple[Tensor, Tensor]:
        """A [r, I] and B [O, r] as they are stored."""
        a: Any = self.lora_A[name]
        b: Any = self.lora_B[name]
        return a.weight, b.weight

    @property
    def base_weight(self) -> Tensor:
        """The frozen weight, [O, I]; packed integers where it is quantised."""
        base: Any = self.base_layer
        return base.weight

    @torch.no_grad()
    def merged_weight(self) -> Tensor:
        """The base weight with the adapter added, [O, I]; of a sharded layer this rank's rows. Collective."""
        (name,) = self.active_adapters
        a, b = self._adapter(name)

        # Rows of the product are rows of B, which is sharded as the weight is.
        return with_adapter(local(self.base_weight), whole(a), local(b), scaling=self.scaling[name])


def with_adapter(weight: Tensor, a: Tensor, b: Tensor, *, scaling: float) -> Tensor:
    """A weight [O, I] with an adapter A [r, I], B [O, r] added in fp32, in the weight's own type."""
    return (weight.float() + (b.float() @ a.float()) * scaling).to(weight.dtype)


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a sharded tensor, any other as it is; they share their memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
