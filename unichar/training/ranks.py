"""Several processes that train one model: who they are, sums over all of them, frozen weights split between
them.

    accelerate launch --num_processes 8 -m unichar sft --character mochi --preset bagel

Every process runs the same program (`sft` or `grpo`) on its share of each step's items; sums of losses and
gradients are taken over all, so a step gives what one process would give. Process 0 alone writes. Without a
launcher there is one process and every function here does nothing. In the paper's code a process without text
in its batch stops all others; here every process reads its part of one batch that all know, and sums count
what is there.
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


def join() -> None:
    """Meet the other processes of the launcher, if there is one; may be called again.

    Tensors on the CPU travel by gloo and those on a GPU by NCCL, so a small model may stay on the CPU of a
    machine with GPUs.
    """
    has_gpu = torch.cuda.is_available()
    if launched() > 1 and not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo")
        PartialState(cpu=not has_gpu)  # accelerate sets this process's GPU and knows who is first


def launched() -> int:
    """How many processes the launcher started, before they have met."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_device() -> torch.device:
    """Where a large model belongs: this process's own GPU, or the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    """Whether this process writes."""
    return rank() == 0


def wait_for_all() -> None:
    """Return when every process is here."""
    if world_size() > 1:
        dist.barrier()


def total(numbers: Sequence[float]) -> list[float]:
    """Each number summed over all processes, in double precision."""
    if world_size() == 1:
        return list(numbers)
    summed = torch.tensor(list(numbers), dtype=torch.float64)
    dist.all_reduce(summed)
    return summed.tolist()


def sum_tensor(tensor: Tensor) -> Tensor:
    """The tensor, with what all processes have in it summed in place."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def any_of(*flags: bool) -> tuple[bool, ...]:
    """For each flag, whether any process raised it: all of them then do the same thing at the same step."""
    return tuple(count > 0 for count in total([float(flag) for flag in flags]))


def from_main(number: float) -> float:
    """The number process 0 has."""
    return total([number if is_main() else 0.0])[0]


def broadcast_text(text: str) -> str:
    """The text process 0 has, for all."""
    if world_size() == 1:
        return text
    size = int(from_main(len(text.encode())))
    data = torch.zeros(size, dtype=torch.uint8)
    if not size:
        return ""
    if is_main():
        data.copy_(torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8))
    dist.broadcast(data, src=0)
    return bytes(data.tolist()).decode()


def part() -> None:
    """End what `join` began, process 0 last: whoever leaves while others still read its last message breaks
    it for them.

    May be called again; the others must have called it, or process 0 waits.
    """
    if world_size() == 1:
        return
    goodbye = torch.zeros(1)
    if is_main():
        for other in range(1, world_size()):
            dist.recv(goodbye, src=other)
    else:
        dist.send(goodbye, dst=0)
    dist.destroy_process_group()


@torch.no_grad()
def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Sum the gradients of whole parameters over all processes, in one message; split ones are summed by
    their backward pass.
    """
    if world_size() == 1:
        return
    whole = [parameter for parameter in parameters if not isinstance(parameter, DTensor)]
    for parameter in whole:
        if parameter.grad is None:  # nothing for it in this process's share
            parameter.grad = torch.zeros_like(parameter)
    if not whole:
        return
    gradients = [parameter.grad for parameter in whole if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def shard(blocks: Sequence[nn.Module]) -> None:
    """Split the weights of `blocks` over the processes (FSDP2), each gathered only while it runs.

    Inner blocks come before the ones they are in. Frozen weights may have another type than the adapters
    between them. From then on all processes must run the same blocks equally often, and gradients come out of
    the backward pass already summed.
    """
    mesh = init_device_mesh(next(blocks[0].parameters()).device.type, (world_size(),))
    for block in blocks:
        # Said outright, since a block that is in no other would keep its weights between forward and
        # backward.
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    for block in blocks:
        assert isinstance(block, FSDPModule)
        block.set_gradient_divide_factor(1.0)
        block.set_force_sum_reduction_for_comms(True)  # gloo knows no scaled sums


def whole(tensor: Tensor) -> Tensor:
    """A tensor in one piece; all processes must ask for it together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def assign(target: Tensor, value: Tensor) -> None:
    """Copy a whole tensor into a parameter, or this process's part of it into a split one."""
    if isinstance(target, DTensor):
        value = distribute_tensor(value.to(target.device), target.device_mesh, target.placements)
    target.copy_(value)
