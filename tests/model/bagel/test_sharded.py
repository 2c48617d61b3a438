"""SFT and GRPO of a BAGEL whose weights are split over two processes give what one process gives."""

import json
import sys
from pathlib import Path

import pytest
import torch
from factories_bagel import make_bagel
from factories_config import replaced
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job
from factories_small import saved_adapters
from factories_training import TESTS, launch

from unichar.grpo import train as grpo
from unichar.sft import train as sft
from unichar.training.curves import read_curve
from unichar.training.ranks import init_process_group, wait_for_all

SFT = replaced(TINY["sft"], conversations=3, prompts=3, pictures=6, tracker="", und_lr=1e-3, gen_lr=1e-3)
GRPO = replaced(
    TINY["grpo"],
    rounds=1,
    tracker="",
    lr=1e-4,
    rollout={"prompts": 3, "group": 3, "step_prompts": 3, "guidance": 2.0},
    flow_grpo={"window": 1, "clip_range": 0.1},
    validation={"prompts": 3, "group": 2},
)
RUNS = {
    "nft": {},
    "flow_grpo": {"algorithm": "flow_grpo"},
    "one picture a pass": {"rollout": {"microbatches": 2}},
}
"""Folder -> settings of GRPO. No multiples of two, so that ranks have different numbers of samples."""


def train(folder: Path, bagel: Path, inputs: dict[str, Path], *, is_sharded: bool) -> None:
    """SFT, then every run of GRPO on its adapters."""

    def job_of(verb, where, inputs, config):
        return make_job(verb, folder / where, inputs, base=bagel, character="nia", config=config)

    first = job_of("sft", "sft", inputs, replaced(SFT, shard=is_sharded))
    sft.run(first)
    wait_for_all()

    for name, settings in RUNS.items():
        config = replaced(replaced(GRPO, **settings), shard=is_sharded)
        grpo.run(job_of("grpo", name, inputs | {"sft_checkpoint": first.out}, config))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """(folder of one process, folder of two)."""
    folder = tmp_path_factory.mktemp("nia")
    inputs = make_inputs(folder, **nia_the_photographer())
    bagel = make_bagel(folder / "bagel")
    about = {name: str(path) for name, path in inputs.items()}
    environment = {"PYTHONPATH": str(TESTS), "UNICHAR_JUDGES": str(BASE)}
    done = launch(Path(__file__), folder / "two", bagel, json.dumps(about), **environment)
    assert done.returncode == 0, done.stderr[-3000:]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNICHAR_JUDGES", str(BASE))
        train(folder / "one", bagel, inputs, is_sharded=False)
    return folder / "one", folder / "two"


@pytest.mark.parametrize("name", ["sft", *RUNS])
def test_two_sharded_processes_train_as_one_does(folders, name):
    one, two = (folder / name / "out" for folder in folders)
    for row, other in zip(read_curve(one / "curve.jsonl"), read_curve(two / "curve.jsonl"), strict=True):
        losses = {key: value for key, value in row.items() if "per_second" not in key and "memory" not in key}
        assert {key: other[key] for key in losses} == pytest.approx(losses, rel=1e-4, abs=1e-5), name

    # An update is as long as the learning rate whatever the gradient, so rounding shows where that is near 0.
    ours, theirs = saved_adapters(two / "adapters"), saved_adapters(one / "adapters")
    start = saved_adapters(folders[0] / "sft" / "out" / "adapters")
    differences = torch.cat([(ours[key] - theirs[key]).abs().flatten() for key in theirs])
    assert (differences > 2e-5).float().mean() < 1e-3
    assert name == "sft" or any((theirs[key] - start[key]).abs().max() > 1e-4 for key in theirs)


if __name__ == "__main__":
    init_process_group()
    places = {noun: Path(path) for noun, path in json.loads(sys.argv[3]).items()}
    train(Path(sys.argv[1]), Path(sys.argv[2]), places, is_sharded=True)
    wait_for_all()
