"""A BAGEL sharded over two ranks computes the same results and gradients as an unsharded one."""

from factories_bagel import make_bagel
from factories_training import TESTS, launch

SCRIPT = """
import sys
from pathlib import Path

import torch
from factories_model import disturb

from unichar.training.ranks import init_process_group, rank, shard, whole
from unichar.model.bagel.weights import load_bagel
from unichar.model.lora import LoraSettings, add_adapters, blocks, trainable
from unichar.types import Segment

folder = Path(sys.argv[1])
talk = [
    Segment(type="text", value="Hello", role="user"),
    Segment(type="text", value="I am me.", role="assistant", loss=True),
]


def model():
    made = load_bagel(folder, device=torch.device("cpu"))
    add_adapters(made, und=LoraSettings(rank=2), gen=LoraSettings(rank=2), seed=0)
    disturb(made, by=0.1)
    return made


def learn(bagel):
    context = bagel.prompt_context(["A fox.", "B"])
    velocity = bagel.velocity(bagel.start_noise([1, 2]), torch.tensor([0.3, 0.8]), context)
    losses = bagel.text_losses([talk], folder)[0]
    (velocity.square().mean() + losses.mean()).backward()
    parameters = [p for name in ("und", "gen") for p in trainable(getattr(bagel, name)).values()]
    gradients = [whole(parameter.grad) for parameter in parameters]
    return [velocity.detach(), losses.detach(), *gradients]


init_process_group()
alone, split = learn(model()), model()
shard(blocks(split))
for number, (ours, theirs) in enumerate(zip(learn(split), alone, strict=True)):
    processes = 1 if number < 2 else 2  # gradients are summed over processes, both of which did the same
    assert torch.allclose(ours, processes * theirs, atol=1e-5), number
drawn = split.sample_latents(split.prompt_context(["A fox."]), [1], steps=2, guidance=2.0, shift=1.0)
assert drawn.isfinite().all()
if rank() == 0:
    print("alike", len(alone))
"""


def test_two_ranks_compute_what_one_does(tmp_path):
    script = tmp_path / "learn.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n{SCRIPT}")
    folder = make_bagel(tmp_path / "bagel")
    done = launch(script, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["alike", str(2 + 2 * 2 * 3 * 7)]
