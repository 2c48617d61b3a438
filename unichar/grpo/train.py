"""Stage 5, Character-GRPO: reinforce the pictures of the SFT model.

    python -m unichar grpo --character mochi --preset cpu

A round draws groups of pictures for a few prompts, judges them (identity, prompt alignment, diversity, naturalness), turns the
rewards into group-relative advantages and takes a few steps of DiffusionNFT (`nft.py`) or Flow-GRPO (`flow_grpo.py`). Only the
generation expert's adapters change. Now and then an evaluator that gives no rewards looks (`watch.py`): it stops learning that
costs identity, and the best adapters in its eyes are the result.

Departs from the paper: DiffusionNFT by default, which needs clean samples only, any number of steps and no guidance; that is
what two cores can pay for. Diversity is a leave-one-out distance a picture (the paper's group mean cancels in the advantages).
Prompts to learn from, to watch and to test share no scene (the paper's test set is its training set). Groups without
differences are skipped.
"""

import dataclasses
import shutil
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from unichar.grpo.advantages import instructive
from unichar.grpo.config import GrpoConfig
from unichar.grpo.flow_grpo import FlowGrpo
from unichar.grpo.nft import Nft
from unichar.grpo.policy import Snapshot
from unichar.grpo.prompts import practice_prompts, watch_prompts
from unichar.grpo.rubric import Drawn, Rewards, Rubric
from unichar.grpo.watch import Watch
from unichar.grpo.words import WordsTrainer
from unichar.grpo.work import round_flops
from unichar.judges.chosen import Chosen
from unichar.judges.eyes import PhotoEye, ToonEye
from unichar.judges.naturalness import Naturalness
from unichar.judges.panel import Panel
from unichar.judges.prompts import Prompt
from unichar.kit.images import load_picture
from unichar.learning.curves import read_curve
from unichar.learning.loop import run_loop
from unichar.learning.seeds import derive
from unichar.learning.state import TrainState, run_key
from unichar.model.load import base_digest, load_model
from unichar.model.lora import save_adapters, trainable
from unichar.model.protocol import UnifiedModel
from unichar.model.sizes import adapter_rank, model_sizes
from unichar.model.workload import measured_texts
from unichar.records import CuratedKit, StageJob, read_interactions

ALGORITHMS: dict[str, type[Nft] | type[FlowGrpo]] = {"nft": Nft, "flow_grpo": FlowGrpo}


def run(job: StageJob) -> dict[str, float]:
    """Reinforce the adapters of the SFT stage; writes `adapters/` and `curve.jsonl`. Resumes from `job.work` after a kill.

    Returns:
        Rewards of the first and last quarter of the rounds on practice prompts, of the SFT model and the last on watched ones;
        which round's adapters were kept, and counts.
    """
    config: GrpoConfig = job.config
    base_sha256 = base_digest(job.base)
    model = load_model(job.base, job.inputs["sft_checkpoint"] / "adapters", trainable=True)
    voice = list(trainable(model.und).values())
    model.und.requires_grad_(False)
    trainer = Trainer(model, job)
    began = time.monotonic()
    run_loop(
        "grpo",
        trainer.round,
        total=config.rounds,
        state=trainer.state(base_sha256),
        save_seconds=config.save_seconds,
        log_every=1,
        finished=lambda: bool(trainer.watch.progress.stopped),
    )
    if config.text_rounds:
        _reinforce_words(model, job, voice, base_sha256)
    seconds = time.monotonic() - began
    with trainer.watch.best.in_place() if config.keep == "best" else nullcontext():
        save_adapters(model, job.out / "adapters", base_sha256=base_sha256)
    shutil.copyfile(job.work / "curve.jsonl", job.out / "curve.jsonl")
    return _summary(read_curve(job.out / "curve.jsonl"), trainer) | {"training_seconds": round(seconds, 1)}


def _reinforce_words(model: UnifiedModel, job: StageJob, voice: list[Tensor], base_sha256: str) -> None:
    """The rounds of `words.py`, with a state and a curve of their own in `words/`; writes `curve_words.jsonl`."""
    for parameter in voice:
        parameter.requires_grad_(True)
    trainer = WordsTrainer(model, job, voice)
    state, seconds = trainer.state(base_sha256), job.config.save_seconds
    run_loop("grpo words", trainer.round, total=job.config.text_rounds, state=state, save_seconds=seconds, log_every=1)
    shutil.copyfile(job.work / "words" / "curve.jsonl", job.out / "curve_words.jsonl")


class Trainer:
    """Holds what every round needs; `round` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job
        self.config: GrpoConfig = job.config
        self.accelerator = Accelerator(mixed_precision="bf16", cpu=True)
        live = trainable(model.gen)
        self.parameters = list(live.values())
        self.reference = Snapshot(live)
        self.algorithm = ALGORITHMS[self.config.algorithm](model, self.config, live=live, reference=self.reference, seed=job.seed)
        kit = CuratedKit.read(job.inputs["curated_kit"])
        self.practice, watched = self._prompts(kit)
        self.rubric, evaluator = self._rubrics(kit)
        self.watch = Watch(model, watched, rubric=self.rubric, evaluator=evaluator, live=live, config=self.config, seed=job.seed)
        optimizer = torch.optim.AdamW(self.parameters, lr=self.config.lr, betas=(0.9, 0.99), weight_decay=0.0)
        self.optimizer = self.accelerator.prepare(optimizer)

    def _prompts(self, kit: CuratedKit) -> tuple[list[Prompt], list[Prompt]]:
        """(to learn from, to watch)"""
        config, seed = self.config, self.job.seed
        train, test = (read_interactions(self.job.inputs["interactions"] / f"{split}.jsonl") for split in ("train", "test"))
        watched = watch_prompts(kit, train, test, count=config.watch_prompts, seed=seed)
        count = config.rounds * config.prompts
        return practice_prompts(kit, train, test, watched=watched, count=count, seed=seed), watched

    def _rubrics(self, kit: CuratedKit) -> tuple[Rubric, Rubric]:
        """(the reward's, the independent evaluator's). They differ in the network that looks."""
        model, folder = self.model, self.job.inputs["curated_kit"]
        names = [picture.image for picture in kit.split("train")]
        real = model.encode_images([load_picture(folder / name, model.image_size) for name in names])
        nothing = model.prompt_context([""])

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            with model.base_pictures() if kit.is_toon_world else self.reference.in_place():
                return model.velocity(x, t, nothing)

        naturalness = Naturalness(denoise, real)
        eye = ToonEye(self.job.base) if kit.is_toon_world else PhotoEye(self.job.base)
        chosen = Chosen(self.config.judges, kit, folder, questions=self.job.work / "questions.json")
        reward = Panel(chosen.eye or model, kit, folder, size=model.image_size, soft=True, texts=chosen.texts)
        panels = (reward, Panel(eye, kit, folder, size=model.image_size, soft=True))
        return Rubric(panels[0], naturalness, self.config), Rubric(panels[1], naturalness, self.config)

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)
        modules = {"gen": self.model.gen, "best": self.watch.best, "progress": self.watch.progress, **self.algorithm.modules}
        return TrainState(self.job.work / "state.safetensors", modules, {"adamw": self.optimizer.optimizer}, key=key)

    def round(self, index: int) -> dict[str, float]:
        """Practise; and look, before the first round and after some."""
        numbers = self.watch.look(0) if index == 0 else {}
        numbers |= self.practise(index)
        if (index + 1) % self.config.watch_every == 0 or index + 1 == self.config.rounds:
            numbers |= self.watch.look(index + 1)
        return numbers

    def practise(self, index: int) -> dict[str, float]:
        """Sample, judge, learn."""
        prompts = self.practice[index * self.config.prompts : (index + 1) * self.config.prompts]
        with self.algorithm.policy():
            drawn, kept = self.rollout(prompts, index)
        return self._learn(prompts, kept, self.rubric.score(drawn, prompts), index)

    def rollout(self, prompts: Sequence[Prompt], index: int) -> tuple[Drawn, Any]:
        """(pictures, what the algorithm keeps). A picture depends on the seed, the round, its prompt and its number alone."""
        group = self.config.group
        context = self.model.prompt_context([prompt.text for prompt in prompts])
        seeds = [derive(self.job.seed, "rollout", index, prompt.text, g) for prompt in prompts for g in range(group)]
        numbers = [index * self.config.prompts + p for p in range(len(prompts)) for _ in range(group)]
        latents, kept = self.algorithm.sample(context, seeds, numbers)
        return Drawn(latents=latents, pixels=self.model.decode_latents(latents)), kept

    def _learn(self, prompts: Sequence[Prompt], kept: Any, rewards: Rewards, index: int) -> dict[str, float]:
        """The round's optimizer steps, on the prompts that have something to teach."""
        config, progress = self.config, self.watch.progress
        use = instructive(rewards.total, min_spread=config.min_spread)
        advantages = self.algorithm.advantages(rewards.total[use]).flatten() if use.any() else torch.zeros(0)
        rows = torch.arange(rewards.total.numel()).view(rewards.total.shape)[use].flatten()
        progress.skipped += int((~use).sum())
        numbers: dict[str, float] = {}
        if use.any():
            context = self.model.prompt_context([prompt.text for prompt, used in zip(prompts, use.tolist(), strict=True) if used])
            for inner in range(config.inner_steps):
                step = index * config.inner_steps + inner
                numbers = self.algorithm.learn(kept, rows, advantages, context, step, self.accelerator.backward)
                numbers["gradient"] = float(self.accelerator.clip_grad_norm_(self.parameters, config.clip))
                self.optimizer.step()
                self.optimizer.zero_grad()
                progress.steps += 1
            self.algorithm.finish_round(int(progress.steps))
        return numbers | _distribution(rewards, advantages, config.advantage_clip) | {"skipped_groups": float((~use).sum())}


def _distribution(rewards: Rewards, advantages: Tensor, clip: float) -> dict[str, float]:
    """Means of every part of the reward, and how rewards and advantages spread."""
    total = rewards.total
    numbers = {"reward": total.mean().item(), "reward_std": total.std(correction=0).item()}
    numbers |= {"reward_min": total.min().item(), "reward_max": total.max().item()}
    numbers |= {name: part.mean().item() for name, part in rewards.parts.items()}
    if len(advantages):
        numbers |= {"advantage_std": advantages.std(correction=0).item()}
        numbers |= {"advantage_min": advantages.min().item(), "advantage_max": advantages.max().item()}
        numbers |= {"advantage_clipped": (advantages.abs() >= clip).float().mean().item()}
    return numbers


def _summary(rows: list[dict[str, float]], trainer: Trainer) -> dict[str, float]:
    config, progress = trainer.config, trainer.watch.progress
    quarter = max(1, len(rows) // 4)
    watched = [row for row in rows if "held_out_reward" in row]

    def mean(part: list[dict[str, float]], name: str) -> float:
        return sum(row[name] for row in part) / len(part)

    return {
        "reward_first": mean(rows[:quarter], "reward"),
        "reward_last": mean(rows[-quarter:], "reward"),
        "held_out_reward_first": progress.start_reward.item(),
        "held_out_reward_last": watched[-1]["held_out_reward"],
        "kept_round": progress.best_round.item() if config.keep == "best" else len(rows),
        "stopped_early": int(progress.stopped),
        "rounds": len(rows),
        "optimizer_steps": int(progress.steps),
        "skipped_groups": int(progress.skipped),
        "pictures": len(rows) * config.prompts * config.group,
        "flops": len(rows) * _round_flops(trainer),
    }


def _round_flops(trainer: Trainer) -> float:
    texts = measured_texts(read_interactions(trainer.job.inputs["interactions"] / "train.jsonl"))
    rank = adapter_rank(trainer.model.gen)
    return round_flops(model_sizes(trainer.model), texts, trainer.config, gen_rank=rank)
