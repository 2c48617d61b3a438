"""Randomness as a pure function of where a run stands.

Nothing in training draws from a global generator: each step makes its own from (seed, names, step). A resumed
run therefore repeats the same numbers without any generator state being saved, and a batch does not depend on
what was drawn before it.
"""

import hashlib
import random

import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed from `seed` and any number of names. Example: `derive(0, "sft", 12)`"""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def python_rng(seed: int, *names: str | int) -> random.Random:
    """A `random.Random` of its own."""
    return random.Random(derive(seed, *names))


def torch_rng(seed: int, *names: str | int) -> torch.Generator:
    """A CPU `torch.Generator` of its own: noise is drawn on the CPU, so every device sees the same."""
    return torch.Generator().manual_seed(derive(seed, *names))
