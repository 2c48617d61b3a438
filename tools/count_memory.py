"""Memory of BAGEL's passes, counted on fake tensors: real sizes, no weights, no GPU.

    python tools/count_memory.py --pictures 1 12 24 --size 1024
    python tools/count_memory.py --conversations 418 4902

A fake tensor has a shape and a storage, but no content, so the real code runs at its real size in seconds. A
dispatch mode adds up the storages as they come and go. Attention is counted as flash attention: for fake
tensors on the CPU PyTorch takes the fused kernel, which keeps what a GPU's keeps (queries, keys, values, the
output and the sums of its rows). Not counted: workspaces within a kernel, and what an allocator loses.

`torch.distributed._tools.MemTracker` does not serve here: it registers hooks on all parameters, which frozen
ones refuse. `python -m unichar plan` counts without running anything (`unichar/cost/memory.py`);
`tests/cost/test_memory.py` holds it against this.
"""

import argparse
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unichar.cost.sizes import BAGEL_7B
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.packing import Element, SpecialTokens, pack
from unichar.model.bagel.reading import read_packed
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.model.flow import flow_loss
from unichar.model.lora import LoraSettings, add_adapters


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Bytes of one pass beside weights and gradients; what goes in is included."""

    forward: int
    """After the forward pass: what its backward pass needs."""
    peak: int
    """The most at any time, `activations` of `unichar.cost.memory`."""


class LiveBytes(TorchDispatchMode):
    """Adds up the storages of all tensors that operators return, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self.add(tensor)
        return made

    def add(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once for all views of it."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return

        def freed(_: object) -> None:
            self._known.pop(key)
            self.now -= size

        self._known[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)


@contextmanager
def fake_bagel(*, size: int, layers: int, und_rank: int = 16, gen_rank: int = 64) -> Iterator[BagelModel]:
    """BAGEL-7B-MoT with `layers` layers for pictures of `size` pixels, with adapters, as fake bf16 tensors.

    Everything inside the context is fake.
    """
    config = replace(BAGEL_7B, text=replace(BAGEL_7B.text, num_hidden_layers=layers))
    special = SpecialTokens(begin=1, end=2, vision_start=3, vision_end=4)

    def text(length: str) -> Element:
        """A text of as many tokens as it says."""
        return Element(kind="text", ids=(1,) * int(length), has_loss=True)

    tokenizer = cast(BagelTokenizer, SimpleNamespace(special=special, text=text))

    # Built on the meta device, since modules of fake tensors cannot be converted.
    with torch.device("meta"):
        model = BagelModel(config, tokenizer, image_size=size).bfloat16().requires_grad_(False)
        add_adapters(
            model,
            und=LoraSettings(rank=und_rank, alpha=2 * und_rank),
            gen=LoraSettings(rank=gen_rank, alpha=2 * gen_rank),
            seed=0,
        )

    with FakeTensorMode():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                setattr(module, name, nn.Parameter(empty, requires_grad=parameter.requires_grad))
        yield model


def image_pass(model: BagelModel, *, pictures: int, prompts: int, context: int) -> Counted:
    """A training pass over noised pictures: their prompts of `context` tokens, velocity, loss, backward."""
    latents, times = _noised(model, pictures)

    def run() -> Tensor:
        # Prompts of different lengths, since equal texts would be read once.
        given = model.prompt_context([str(context + number) for number in range(prompts)])
        return flow_loss(model.velocity(latents, times, given), latents, latents).sum()

    return _counted(model, run, [latents, times])


def text_pass(model: BagelModel, *, lengths: Sequence[int], targets: int) -> Counted:
    """A training pass over packed conversations of these lengths, with logits at `targets` tokens."""
    und, _ = model._experts()
    packed = pack([[model.tokenizer.text(str(length))] for length in lengths], model.tokenizer.special)
    labels = torch.zeros(targets, dtype=torch.long)

    def run() -> Tensor:
        # As `BagelModel._token_losses`, whose choice of the target tokens depends on data.
        (hidden,), _ = read_packed(model._experts(), model.vision, packed)
        logits = und.lm_head(hidden[0, :targets]).float()
        return F.cross_entropy(logits, labels, reduction="none").sum()

    return _counted(model, run, [labels])


def drawing(model: BagelModel, *, pictures: int, context: int) -> Counted:
    """One velocity of pictures of one prompt, without gradients."""
    latents, times = _noised(model, pictures)

    def run() -> Tensor:
        return model.velocity(latents, times, model.prompt_context([str(context)]))

    with torch.no_grad():
        return _counted(model, run, [latents, times])


def decoding(model: BagelModel) -> Counted:
    """One picture through the autoencoder's decoder.

    Its one head of 512 is too wide for the CPU's fused kernel, but not for a GPU's memory-efficient one, so
    the attention is counted as its result.
    """
    cells = model.image_size // 8
    latents = torch.empty(1, 16, cells, cells, dtype=torch.bfloat16)
    attention = "torch.nn.functional.scaled_dot_product_attention"
    with torch.no_grad(), patch(attention, lambda q, k, v: torch.empty_like(q)):
        return _counted(model, lambda: model.vae.decode(latents), [latents])


def _counted(model: nn.Module, run: Callable[[], Tensor], inputs: Sequence[Tensor]) -> Counted:
    """Run a pass; its result goes backward where it has a gradient."""
    live = LiveBytes()
    for parameter in model.parameters():
        live.add(parameter)
        if parameter.requires_grad:
            # All but the first microbatch of a step add to gradients that are there.
            parameter.grad = torch.zeros_like(parameter)
            live.add(parameter.grad)

    before = live.now
    for tensor in inputs:
        live.add(tensor)

    with live:
        result = run()
        forward = live.now - before
        if result.requires_grad:
            result.backward()  # type: ignore[no-untyped-call]
    return Counted(forward=forward, peak=live.peak - before)


def _noised(model: BagelModel, pictures: int) -> tuple[Tensor, Tensor]:
    cells = model.image_size // 8
    return torch.empty(pictures, 16, cells, cells), torch.empty(pictures)


def main() -> None:
    """Print a table of the passes that the arguments name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, nargs="*", default=[1, 2, 6, 12, 24])
    parser.add_argument("--size", type=int, default=1024, help="side of a picture in pixels")
    parser.add_argument("--layers", type=int, default=BAGEL_7B.text.num_hidden_layers)
    parser.add_argument("--context", type=int, default=121, help="tokens of a prompt")
    parser.add_argument("--conversations", type=int, nargs="*", default=[], help="lengths in tokens")
    arguments = parser.parse_args()

    print(f"{'pass':<32}{'after forward':>15}{'peak':>10}   GB, without weights and gradients")
    with fake_bagel(size=arguments.size, layers=arguments.layers) as model:
        rows: list[tuple[str, Counted]] = []
        for pictures in arguments.pictures:
            counted = image_pass(model, pictures=pictures, prompts=1, context=arguments.context)
            rows.append((f"train {pictures} pictures", counted))
        for pictures in arguments.pictures:
            rows.append(
                (f"draw {pictures} pictures", drawing(model, pictures=pictures, context=arguments.context))
            )
        rows.append(("decode 1 picture", decoding(model)))
        for length in arguments.conversations:
            rows.append((f"train {length} tokens of text", text_pass(model, lengths=[length], targets=60)))

    for name, counted in rows:
        print(f"{name:<32}{counted.forward / 1e9:>15.2f}{counted.peak / 1e9:>10.2f}")


if __name__ == "__main__":
    main()
