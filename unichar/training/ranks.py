"""Data-parallel training: ranks, sums over all ranks, frozen weights sharded between them.

    accelerate launch --num_processes 8 -m unichar sft --character mochi --preset bagel

Every rank runs the same program (`sft` or `grpo`) on its samples of each step. Losses and gradients are
summed over all ranks, so that a step gives what one process would give. Only rank 0 writes. Without a
launcher there is one process and every function here does nothing.

Departs from the paper's code, where a rank without text in its batch stops all others: here all ranks know
the whole batch, and a sum counts whatever samples each of them has.
"""

import os
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from unichar.errors import UserError


def init_process_group() -> None:
    """Initialize torch.distributed if a launcher started several processes; may be called again.

    Tensors on the CPU are sent by gloo and those on a GPU by NCCL: gradients lie where the model does, sums
    of a few numbers on the CPU.

    Raises:
        UserError: See `local_device`.
    """
    # A second call does nothing, so that whoever needs the group may ask for it.
    if launched() > 1 and not dist.is_initialized():
        has_gpu = local_device().type == "cuda"
        dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo")

        # accelerate selects this process's GPU; its trackers ask it for the rank.
        PartialState(cpu=not has_gpu)


def launched() -> int:
    """How many processes the launcher started; known before the process group is initialized."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_device() -> torch.device:
    """The device of every model and judge of this process, as UNICHAR_DEVICE says.

    `auto`, the default, is this process's own GPU, or the CPU if there is none; `cpu` and `cuda` insist.

    Raises:
        UserError: UNICHAR_DEVICE is something else, or `cuda` where PyTorch finds no GPU.
    """
    wanted = os.environ.get("UNICHAR_DEVICE") or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"UNICHAR_DEVICE is {wanted!r}, expected auto, cpu or cuda; unset, it is auto")

    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise UserError(
            f"UNICHAR_DEVICE is cuda, but PyTorch {torch.__version__} finds no GPU: look at `nvidia-smi`, "
            "install a PyTorch built for CUDA (requirements/README.md), or set UNICHAR_DEVICE to auto or cpu"
        )
    if wanted == "cpu" or not has_gpu:
        return torch.device("cpu")

    # LOCAL_RANK counts the processes of one machine.
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def world_size() -> int:
    """Number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Index of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this is rank 0, the only one that writes."""
    return rank() == 0


def wait_for_all() -> None:
    """Barrier: return once every rank has called this."""
    if world_size() > 1:
        dist.barrier()


def total(numbers: Sequence[float]) -> list[float]:
    """Each number summed over all ranks, in double precision."""
    if world_size() == 1:
        return list(numbers)

    # On the CPU: these are a few numbers, and gloo serves the CPU on every machine.
    summed = torch.tensor(list(numbers), dtype=torch.float64)
    dist.all_reduce(summed)
    return summed.tolist()


def sum_tensor(tensor: Tensor) -> Tensor:
    """Sum a tensor over all ranks, in place, and return it."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def any_of(*flags: bool) -> tuple[bool, ...]:
    """For each flag, whether any rank raised it, so that all ranks take the same branch at the same step."""
    return tuple(count > 0 for count in total([float(flag) for flag in flags]))


def from_main(number: float) -> float:
    """The number that rank 0 has, on every rank."""
    return total([number if is_main() else 0.0])[0]


def broadcast_text(text: str) -> str:
    """The text that rank 0 has, on every rank."""
    if world_size() == 1:
        return text

    # The other ranks need the length first, to have a buffer of that size.
    size = int(from_main(len(text.encode())))
    if not size:
        return ""

    # Bytes, since collectives send tensors only.
    data = torch.zeros(size, dtype=torch.uint8)
    if is_main():
        data.copy_(torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8))
    dist.broadcast(data, src=0)
    return bytes(data.tolist()).decode()


def destroy_process_group() -> None:
    """Undo `init_process_group`; rank 0 waits until every other rank has called this. May be called again."""
    if world_size() == 1:
        return

    # Rank 0 hosts the store that all connect through; if it left first, others could lose its last message.
    goodbye = torch.zeros(1)
    if is_main():
        for other in range(1, world_size()):
            dist.recv(goodbye, src=other)
    else:
        dist.send(goodbye, dst=0)
    dist.destroy_process_group()


@torch.no_grad()
def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Sum the gradients of unsharded parameters over all ranks, in one all-reduce.

    Gradients of sharded parameters (DTensor) are summed by their backward pass.
    """
    if world_size() == 1:
        return

    unsharded = [parameter for parameter in parameters if not isinstance(parameter, DTensor)]
    if not unsharded:
        return

    # A rank whose samples did not reach a parameter still takes part in the sum.
    for parameter in unsharded:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)

    # One flat tensor, because many small all-reduces would cost their latency each.
    gradients = [parameter.grad for parameter in unsharded if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])  # [number of parameters]
    dist.all_reduce(flat)

    # Back into the gradients of the single parameters.
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def shard(blocks: Sequence[nn.Module]) -> None:
    """Shard the weights of `blocks` over all ranks with FSDP2; each block is gathered only while it runs.

    Frozen weights may have another dtype than the adapters in the same block. Afterwards all ranks must run
    the same blocks equally often, and gradients come out of the backward pass already summed.

    Args:
        blocks: Inner blocks before the blocks that contain them.
    """
    # One dimension: every rank holds an equal part of each weight.
    mesh = init_device_mesh(next(blocks[0].parameters()).device.type, (world_size(),))
    for block in blocks:
        # By default FSDP2 would keep an outermost block's weights between forward and backward.
        fully_shard(block, mesh=mesh, reshard_after_forward=True)

    for block in blocks:
        assert isinstance(block, FSDPModule)

        # Gradients are summed, not averaged; gloo has no scaled sums.
        block.set_gradient_divide_factor(1.0)
        block.set_force_sum_reduction_for_comms(True)


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, any other as it is. Collective: all ranks must call it together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def assign(target: Tensor, value: Tensor) -> None:
    """Copy a full tensor into `target`; if that is sharded, this rank's shard of it."""
    if isinstance(target, DTensor):
        # Split as the target is, so that each rank copies its own part.
        value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    target.copy_(value)
