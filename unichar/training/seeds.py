"""Randomness as a pure function of (seed, names, step).

Nothing in training draws from a global generator: each step makes its own. A resumed run therefore draws the
same numbers without any saved generator state, and a batch does not depend on what was drawn before it.
"""

import hashlib
import random

import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed from `seed` and any number of names.

    Example: `derive(0, "sft", 12)`
    """
    # Names are joined as a path; renaming one changes every number drawn from it.
    text = "/".join(str(part) for part in (seed, *names))

    # Not hash(): Python's differs between processes. Shifted, since generators take a signed 64-bit seed.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def python_rng(seed: int, *names: str | int) -> random.Random:
    """A new `random.Random` for this place in the run."""
    return random.Random(derive(seed, *names))


def torch_rng(seed: int, *names: str | int) -> torch.Generator:
    """A new `torch.Generator` on the CPU; noise is drawn there, so that every device gets the same."""
    return torch.Generator().manual_seed(derive(seed, *names))
