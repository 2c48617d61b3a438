"""Rollouts: groups sampled together, each prompt encoded once, against one picture at a time as in the
paper's code.

    python benchmarks/rollout.py

Four prompts with ten pictures each, ten steps, decoded to pixels; the model has picture adapters, as in GRPO.
One at a time means that every picture has its prompt encoded, is sampled and is decoded on its own. Both give
the same pictures for the same seeds up to the rounding of bf16 sums in another order, 3 % of their spread.
The paper's code also runs every step twice for guidance, which is left out here on both sides.

`tuned_job` is what the other benchmarks of GRPO start from.
"""

import sys
import tempfile
from pathlib import Path

import torch
from report import agree, measured, say, speedup

from unichar.grpo.config import GrpoConfig, RolloutConfig
from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters
from unichar.model.protocol import UnifiedModel
from unichar.pipeline.run import run_stage
from unichar.sft import train as sft
from unichar.sft.config import SftConfig
from unichar.store.store import Store
from unichar.training.seeds import derive
from unichar.types import StageJob

PROMPTS = [
    "A picture of Mochi, smiling, waving hello, holding a cup, at the beach.",
    "Mochi, looking sad, standing still, holding a flower, on a snowy hill.",
    "Draw Mochi: laughing, in mid-jump, in the city, with a red ball.",
    "Mochi is sleepy, posing with a book, in a cosy room.",
]
GROUP, PAIRS = RolloutConfig().group, 3


def main() -> None:
    """Measure, after checking that both ways give the same pictures."""
    model = load_model(Store.from_env().data / "models" / "nano" / "base.safetensors")
    add_adapters(model, und=LoraSettings(), gen=LoraSettings(rank=SftConfig().gen_rank), seed=0)
    names = [(prompt, derive(0, "rollout", prompt, g)) for prompt in PROMPTS for g in range(GROUP)]

    def together() -> torch.Tensor:
        return draw(model, PROMPTS, [seed for _, seed in names])

    def one_by_one() -> torch.Tensor:
        return torch.cat([draw(model, [prompt], [seed]) for prompt, seed in names])

    batch, single = together(), one_by_one()
    agree("pictures", float((batch - single).square().mean().sqrt() / single.std()), 0.03)
    value = speedup(one_by_one, together, n=PAIRS)
    measured("rollout pictures/s, groups together over one by one", value, goal=3.0, n=PAIRS)


@torch.no_grad()
def draw(model: UnifiedModel, prompts: list[str], seeds: list[int]) -> torch.Tensor:
    """[B, 3, H, W] pixels of every seed; the prompts are encoded again."""
    model._contexts.clear()
    config = RolloutConfig()
    context = model.prompt_context(prompts)
    latents = model.sample_latents(
        context, seeds, steps=config.sample_steps, guidance=1.0, shift=config.shift
    )
    return model.decode_latents(latents)


def tuned_job(config: GrpoConfig, *, character: str = "mochi", steps: int = 60) -> StageJob:
    """A job of the stage `grpo` on a character whose pictures were tuned for `steps` steps, in a temporary
    folder of its own."""
    home, data = Path(tempfile.mkdtemp(prefix="unichar-bench-")), Store.from_env().data
    store, base = Store(home, data), data / "models" / "nano" / "base.safetensors"
    inputs = {"raw_kit": data / "characters" / character}
    for verb in ("validate", "curate", "synthesize"):
        output = run_stage(verb, character, preset="cpu", store=store)
        inputs[output.folder.parent.name.partition("_")[2]] = output.folder
    folders = {name: home / name for name in ("sft_scratch", "sft_out", "scratch", "out")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    say(f"tuning the pictures of {character} for {steps} steps")
    pictures_only = SftConfig(steps=steps, conversations=0, tracker="")
    common = {"character": character, "seed": 0, "base": base}
    sft.run(
        StageJob(
            config=pictures_only,
            inputs=inputs,
            scratch=folders["sft_scratch"],
            out=folders["sft_out"],
            **common,
        )
    )
    inputs["sft_checkpoint"] = folders["sft_out"]
    return StageJob(config=config, inputs=inputs, scratch=folders["scratch"], out=folders["out"], **common)


if __name__ == "__main__":
    sys.exit(main())
