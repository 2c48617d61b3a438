"""What the card can do at most, and attention at BAGEL's shapes: which kernel runs and how fast."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from gpu.expected import VARIANTS, number_of
from gpu.lab import Lab

_WORDS = ("flash", "fmha", "attention", "sdpa", "cudnn")
"""Parts of the names of attention kernels."""


def ceilings(lab: Lab) -> None:
    """Products and copies far larger than any cache, and products of an adapter's shape."""
    side = lab.scale.matrix
    a, b = (torch.randn(side, side, device=lab.device, dtype=torch.bfloat16) for _ in range(2))
    timing = lab.time(lambda: a @ b, runs=20)
    rate = 2.0 * side**3 / timing.seconds / 1e12
    lab.add(f"product of {side} x {side}, bf16", rate, "TFLOP/s", n=timing.n)

    source = torch.empty(lab.scale.copied, dtype=torch.uint8, device=lab.device).random_()
    target = torch.empty_like(source)
    timing = lab.time(lambda: target.copy_(source), runs=20)
    rate = 2.0 * lab.scale.copied / timing.seconds / 1e9
    lab.add("copy on the device, read and written", rate, "GB/s", n=timing.n)
    _adapter_products(lab)


def _adapter_products(lab: Lab) -> None:
    """x [tokens, width] @ A [width, rank] in three types: what adapters would cost in fp32."""
    sizes, rank = lab.scale.sizes, lab.scale.preset.sft.gen_rank
    tokens, width = lab.scale.batch * sizes.tokens, sizes.gen.width
    flops = 2.0 * tokens * width * rank
    x, w = torch.randn(tokens, width, device=lab.device), torch.randn(width, rank, device=lab.device)

    before = torch.get_float32_matmul_precision()
    types = (
        ("fp32", "highest", torch.float32),
        ("TF32", "high", torch.float32),
        ("bf16", "highest", torch.bfloat16),
    )
    for name, precision, dtype in types:
        torch.set_float32_matmul_precision(precision)
        left, right = x.to(dtype), w.to(dtype)
        timing = lab.time(lambda left=left, right=right: left @ right, runs=20)
        note = f"{flops / timing.seconds / 1e12:.3g} TFLOP/s"
        lab.add_time(f"an adapter's product of {tokens} tokens, {name}", timing, note=note)
    torch.set_float32_matmul_precision(before)


def attention_kernels(lab: Lab) -> None:
    """One layer's attention of pictures: forward, forward and backward, and the kernels that ran."""
    for pictures in (1, lab.scale.batch):
        for name in VARIANTS:
            run = _attention(lab, name, pictures)
            for suffix, backward in (("forward", False), ("forward and backward", True)):
                row = f"{name}, {number_of(pictures)}, {suffix}"
                # A variant without a fused kernel writes all scores, 12 GB for twelve pictures.
                lab.add_time_or_oom(row, lambda run=run, backward=backward: run(backward))
            try:
                lab.facts.setdefault("kernels", {})[f"{name}, {number_of(pictures)}"] = kernels_of(
                    lab.device, lambda run=run: run(True)
                )
            except torch.OutOfMemoryError:
                lab.free()


def _attention(lab: Lab, name: str, pictures: int) -> Callable[[bool], None]:
    """A way to call the attention of some pictures: forward, or with True forward and backward."""
    sizes, texts = lab.scale.sizes, lab.scale.texts
    queries, stack = sizes.tokens + sizes.markers, sizes.gen
    keys = texts.prompt + queries
    q, k, v = (
        torch.randn(pictures, heads, length, stack.head_size, device=lab.device, dtype=torch.bfloat16)
        for heads, length in ((stack.heads, queries), (stack.kv_heads, keys), (stack.kv_heads, keys))
    )

    # As where prompts of unequal lengths are padded.
    mask = None
    if "mask" in name:
        mask = torch.ones(pictures, 1, 1, keys, dtype=torch.bool, device=lab.device)
        mask[..., : texts.prompt // 4] = False

    def run(backward: bool) -> None:
        query, key, value = (tensor.detach().requires_grad_(backward) for tensor in (q, k, v))
        gqa = name.startswith("enable_gqa")
        if not gqa:
            copies = stack.heads // stack.kv_heads
            key, value = (tensor.repeat_interleave(copies, dim=1) for tensor in (key, value))
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=gqa)
        if backward:
            mixed.backward(torch.ones_like(mixed))

    return run


def attention_operators(work: Callable[[], object]) -> list[str]:
    """Names of PyTorch's attention operators that `work` calls, which say what was chosen on any device."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    prefix = "aten::_scaled_dot_product_"
    return sorted(e.key.removeprefix(prefix) for e in profiled.key_averages() if e.key.startswith(prefix))


def kernels_of(device: torch.device, work: Callable[[], object], *, count: int = 3) -> list[str]:
    """Names of the attention kernels of `work`, the longest first; on a CPU those of the operators."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiled:
        work()
        if on_gpu:
            torch.cuda.synchronize()

    found: dict[str, float] = {}
    for event in profiled.key_averages():
        taken = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        attends = any(word in event.key.lower() for word in _WORDS)
        if taken and attends and not (on_gpu and event.key.startswith("aten::")):
            found[event.key] = taken
    return [name[:120] for name in sorted(found, key=lambda name: -found[name])[:count]]
