"""Stage 5, Character-GRPO: reinforce the pictures of the SFT model.

    python -m unichar grpo --character mochi --preset cpu

A round draws groups of pictures for a few prompts, judges them (identity, prompt alignment, diversity), turns the rewards
into group-relative advantages and takes a few DiffusionNFT steps. Only the generation expert's adapters change.

Departs from the paper: DiffusionNFT instead of Flow-GRPO's stochastic sampler with likelihood ratios: it needs clean
samples only, any number of steps and no guidance, which is what two cores can pay for. Diversity is a leave-one-out
distance a picture (the paper's group mean cancels in the advantages). Prompts to learn from and to watch share no scene.
"""

import dataclasses
import shutil
import time

import torch
from accelerate import Accelerator
from torch import Tensor

from unichar.files import sha256_file
from unichar.fingerprint import fingerprint
from unichar.grpo.advantages import group_advantages, optimality
from unichar.grpo.config import GrpoConfig
from unichar.grpo.loss import nft_loss
from unichar.grpo.policy import Snapshot
from unichar.grpo.prompts import practice_prompts
from unichar.grpo.rubric import Rewards, Rubric
from unichar.judges.panel import Panel
from unichar.judges.prompts import Prompt, plain_prompts
from unichar.learning.curves import read_curve
from unichar.learning.loop import run_loop
from unichar.learning.seeds import derive, torch_rng
from unichar.learning.state import TrainState
from unichar.model.flow import add_noise, time_grid
from unichar.model.load import load_model
from unichar.model.lora import save_adapters, trainable
from unichar.model.protocol import PromptContext, UnifiedModel
from unichar.records import CuratedKit, StageJob, read_interactions


def run(job: StageJob) -> dict[str, float]:
    """Reinforce the adapters of the SFT stage; writes `adapters/` and `curve.jsonl`. Resumes from `job.work` after a kill.

    Returns:
        Rewards of the first and last quarter of the rounds, on practice and on held-out prompts.
    """
    base_sha256 = sha256_file(job.base)
    model = load_model(job.base, job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    model.und.requires_grad_(False)
    trainer = Trainer(model, job)
    began = time.monotonic()
    state = trainer.state(base_sha256)
    run_loop("grpo", trainer.round, total=job.config.rounds, state=state, save_seconds=job.config.save_seconds, log_every=1)
    seconds = time.monotonic() - began
    save_adapters(model, job.out / "adapters", base_sha256=base_sha256)
    shutil.copyfile(job.work / "curve.jsonl", job.out / "curve.jsonl")
    return _summary(read_curve(job.out / "curve.jsonl"), job.config) | {"training_seconds": round(seconds, 1)}


class Trainer:
    """Holds what every round needs; `round` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job
        self.config: GrpoConfig = job.config
        self.accelerator = Accelerator(mixed_precision="bf16", cpu=True)
        kit = CuratedKit.read(job.inputs["curated_kit"])
        train = read_interactions(job.inputs["interactions"] / "train.jsonl")
        test = read_interactions(job.inputs["interactions"] / "test.jsonl")
        count = self.config.rounds * self.config.prompts
        self.practice = practice_prompts(kit, train, test, count=count, seed=job.seed)
        self.watched = plain_prompts(test)[-self.config.watch_prompts :]
        panel = Panel(model, kit, job.inputs["curated_kit"], size=model.image_size, soft=True)
        self.rubric = Rubric(panel, self.config)
        live = trainable(model.gen)
        self.parameters = list(live.values())
        self.old, self.reference = Snapshot(live), Snapshot(live)
        optimizer = torch.optim.AdamW(self.parameters, lr=self.config.lr, betas=(0.9, 0.99), weight_decay=0.0)
        self.optimizer = self.accelerator.prepare(optimizer)

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = fingerprint({"config": dataclasses.asdict(self.config), "seed": self.job.seed, "base": base_sha256})
        modules = {"gen": self.model.gen, "old": self.old}
        return TrainState(self.job.work / "state.safetensors", modules, {"adamw": self.optimizer.optimizer}, key=key)

    def round(self, index: int) -> dict[str, float]:
        """Sample, judge, learn."""
        config = self.config
        prompts = self.practice[index * config.prompts : (index + 1) * config.prompts]
        context = self.model.prompt_context([prompt.text for prompt in prompts])
        with self.old.in_place():
            x0, rewards = self._rollout(prompts, context, config.group, "rollout", index)
        advantages = group_advantages(rewards.total, clip=config.advantage_clip)
        r = optimality(advantages, clip=config.advantage_clip).flatten()
        numbers: dict[str, float] = {}
        for inner in range(config.inner_steps):
            numbers = self._learn(x0, r, context, index * config.inner_steps + inner)
        self.old.follow(min(config.old_decay * index, 0.5))
        numbers |= {"reward": rewards.total.mean().item()}
        numbers |= {name: part.mean().item() for name, part in rewards.parts.items()}
        if index % config.watch_every == 0 or index + 1 == config.rounds:
            numbers |= self._watch()
        return numbers

    def _rollout(
        self, prompts: list[Prompt], context: PromptContext, group: int, title: str, index: int
    ) -> tuple[Tensor, Rewards]:
        """(latents [P * G, C, h, w], their rewards)."""
        names = [(prompt.text, g) for prompt in prompts for g in range(group)]
        seeds = [derive(self.job.seed, title, index, text, g) for text, g in names]
        latents = self.model.sample_latents(context, seeds, steps=self.config.sample_steps, guidance=1.0, shift=self.config.shift)
        return latents, self.rubric.score(self.model.decode_latents(latents), prompts, group=group)

    def _learn(self, x0: Tensor, r: Tensor, context: PromptContext, index: int) -> dict[str, float]:
        """One optimizer step: every picture once, at one of the sampler's own times."""
        config = self.config
        generator = torch_rng(self.job.seed, "grpo-noise", index)
        grid = time_grid(config.sample_steps, config.shift)[:-1]
        t = grid[torch.randint(len(grid), (len(x0),), generator=generator)]
        x_t = add_noise(x0, torch.randn(x0.shape, generator=generator), t)
        with self.old.in_place():
            v_old = self.model.velocity(x_t, t, context)
        with self.reference.in_place():
            v_ref = self.model.velocity(x_t, t, context)
        v = self.model.velocity(x_t, t, context)
        loss, numbers = nft_loss(
            v, v_old, v_ref, x0=x0, x_t=x_t, t=t, r=r, beta=config.beta, kl=config.kl, scale=config.advantage_clip
        )
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.parameters, config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {"loss": loss.item(), **numbers}

    def _watch(self) -> dict[str, float]:
        """Rewards of the learning policy on held-out prompts, always from the same noise."""
        context = self.model.prompt_context([prompt.text for prompt in self.watched])
        with torch.no_grad():
            _, rewards = self._rollout(self.watched, context, 2, "watch", 0)
        parts = {f"held_out_{name}": part.mean().item() for name, part in rewards.parts.items()}
        return {"held_out_reward": rewards.total.mean().item(), **parts}


def _summary(rows: list[dict[str, float]], config: GrpoConfig) -> dict[str, float]:
    quarter = max(1, len(rows) // 4)
    watched = [row for row in rows if "held_out_reward" in row]

    def mean(part: list[dict[str, float]], name: str) -> float:
        return sum(row[name] for row in part) / len(part)

    return {
        "reward_first": mean(rows[:quarter], "reward"),
        "reward_last": mean(rows[-quarter:], "reward"),
        "held_out_reward_first": watched[0]["held_out_reward"],
        "held_out_reward_last": watched[-1]["held_out_reward"],
        "pictures": len(rows) * config.prompts * config.group,
    }
