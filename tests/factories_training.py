"""A toy trainer: `train_toy(folder)` runs `run_loop` on a net with a buffer and an optimizer with state.

In its own process: `python -c "from factories_training import main; main(folder)"`, `tests/` on the path.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn

from unichar.training.loop import run_loop
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import torch_rng
from unichar.training.state import TrainState

TESTS = Path(__file__).parent
TOTAL = 60


def make_net() -> nn.Sequential:
    """A frozen layer, a norm with running means, a layer that trains; always the same initial weights."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))
    net[0].requires_grad_(False)
    return net


def make_state(folder: Path, net: nn.Module, *, key: str = "toy") -> tuple[torch.optim.Optimizer, TrainState]:
    """An optimizer over what trains in `net`, and the state of both in `folder`."""
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.05)
    return optimizer, TrainState(folder / "state.safetensors", {"net": net}, {"adamw": optimizer}, key=key)


def train_toy(
    folder: Path, *, pause: float = 0.0, total: int = TOTAL, save_seconds: float = 0.0
) -> nn.Module:
    """Train, or go on; logs every 7 steps, so that saves fall between two lines of the curve."""
    folder.mkdir(parents=True, exist_ok=True)
    net = make_net()
    optimizer, state = make_state(folder, net)

    def step(index: int) -> dict[str, float]:
        set_factor(optimizer, trapezoid(index, total))
        x = torch.randn((8, 4), generator=torch_rng(0, "toy", index))
        loss = (net(x)[:, 0] - x.sum(dim=1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if pause and not index:
            print("first step", flush=True)
        time.sleep(pause)
        return {"loss": loss.item(), "first": x[0, 0].item()}

    run_loop("toy", step, total=total, state=state, save_seconds=save_seconds, log_every=7)
    return net


def main(folder: str) -> None:
    """Slow enough to be stopped in the middle."""
    train_toy(Path(folder), pause=0.03)


def start_python(code: str) -> subprocess.Popen[str]:
    """`code` in a process of its own, with the test factories on its path."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(TESTS)!r})\n{code}"],
        cwd=TESTS.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def launch(*program: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`torchrun program` with two processes, which is also how accelerate starts them on GPUs."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
        *map(str, program),
    ]
    env = os.environ | environment
    return subprocess.run(command, cwd=TESTS.parent, env=env, capture_output=True, text=True, timeout=300)


def wait_for_step(process: subprocess.Popen[str], state: Path, step: int, *, seconds: float = 120.0) -> None:
    """Return as soon as `state` holds at least `step` steps.

    Raises:
        AssertionError: The process ended or took too long; with what it printed.
    """
    deadline = time.monotonic() + seconds
    while saved_step(state) < step:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"no step {step} in {state}: {process.communicate()[0]}")
        time.sleep(0.005)


def saved_step(state: Path) -> int:
    """The step of a state file that another process may be replacing; 0 when there is none."""
    if not state.exists():
        return 0
    with state.open("rb") as file:  # safe_open opens a file twice and may meet two
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return int(header["__metadata__"]["step"])
