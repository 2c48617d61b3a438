"""Stage 4, Unified-SFT: one objective over everything the character should say and draw.

    python -m unichar sft --character mochi --preset cpu

Every step sees conversations in a set mix of kinds (cross-entropy on the replies, plans and answers), pictures of the
character under several prompts, and a few strangers (flow-matching error on velocities). What trains is LoRA on the text
backbone and on the generation expert; the rest of the model stays as it is.

Departs from the paper: LoRA instead of full tuning; one text batch and one picture batch a step instead of one text sample
among hundreds of picture passes; strangers against forgetting.
"""

import dataclasses
import shutil
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from unichar.files import sha256_file
from unichar.fingerprint import fingerprint
from unichar.learning.curves import read_curve
from unichar.learning.loop import run_loop
from unichar.learning.schedule import set_factor, trapezoid
from unichar.learning.seeds import torch_rng
from unichar.learning.state import TrainState
from unichar.model.flow import add_noise, flow_loss, sample_times
from unichar.model.load import load_model
from unichar.model.lora import LoraSettings, add_adapters, save_adapters, trainable
from unichar.model.protocol import UnifiedModel
from unichar.records import StageJob, read_interactions
from unichar.sft.batches import PicturePool, character_pool, mixed, prior_pool, shuffled, with_pictures
from unichar.sft.config import SftConfig
from unichar.sft.loss import unified_loss


def run(job: StageJob) -> dict[str, float]:
    """Train the adapters; writes `adapters/` and `curve.jsonl`. Resumes from `job.work` after a kill.

    Returns:
        Final losses (means of the last tenth of the steps), counts and speed.
    """
    base_sha256 = sha256_file(job.base)
    model = load_model(job.base)
    config: SftConfig = job.config
    und = LoraSettings(rank=config.und_rank, alpha=2 * config.und_rank, targets=config.und_targets)
    gen = LoraSettings(rank=config.gen_rank, alpha=2 * config.gen_rank, targets=config.gen_targets)
    add_adapters(model, und=und, gen=gen, seed=job.seed)
    trainer = Trainer(model, job)
    began = time.monotonic()
    run_loop(
        "sft", trainer.step, total=config.steps, state=trainer.state(base_sha256), save_seconds=config.save_seconds, log_every=5
    )
    seconds = time.monotonic() - began
    save_adapters(model, job.out / "adapters", base_sha256=base_sha256)
    shutil.copyfile(job.work / "curve.jsonl", job.out / "curve.jsonl")
    return _summary(job.out / "curve.jsonl", trainer, seconds)


class Trainer:
    """Holds what every step needs; `step` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job
        self.config: SftConfig = job.config
        self.accelerator = Accelerator(mixed_precision="bf16", cpu=True)
        items = with_pictures(read_interactions(job.inputs["interactions"] / "train.jsonl"), self.config.images)
        self.folder = job.inputs["curated_kit"]
        self.conversations = [item for item in items if item.kind != "portrait"]
        self.order = self._order()
        self.character = character_pool(model, [item for item in items if item.kind == "portrait"], self.folder)
        self.prior = prior_pool(model, self.config.prior_pool, job.seed) if self.config.prior_pictures else None
        self.und, self.gen = list(trainable(model.und).values()), list(trainable(model.gen).values())
        groups = [{"params": self.und, "lr": self.config.und_lr}, {"params": self.gen, "lr": self.config.gen_lr}]
        self.optimizer = self.accelerator.prepare(torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0))
        self.seen = Seen()

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = fingerprint({"config": dataclasses.asdict(self.config), "seed": self.job.seed, "base": base_sha256})
        modules = {"und": self.model.und, "gen": self.model.gen, "seen": self.seen}
        return TrainState(self.job.work / "state.safetensors", modules, {"adamw": self.optimizer.optimizer}, key=key)

    def step(self, index: int) -> dict[str, float]:
        """One optimizer step over one mixed batch."""
        config = self.config
        factor = trapezoid(index, config.steps, warmup=0.05, decay=0.5)
        set_factor(self.optimizer.optimizer, factor)
        ce, mse = self._text_losses(index), self._picture_losses(index)
        loss, parts = unified_loss(ce, mse, ce_weight=config.ce_weight, mse_weight=config.mse_weight)
        self.accelerator.backward(loss)
        for side in (self.und, self.gen):
            self.accelerator.clip_grad_norm_(side, config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.seen.tokens += len(ce)
        return {"loss": loss.item(), **parts, "lr_factor": factor}

    def _order(self) -> list[int]:
        """Which conversations the whole run reads, one after the other."""
        total = self.config.steps * self.config.conversations
        return mixed([item.kind for item in self.conversations], self.config.mix, total, self.job.seed) if total else []

    def _text_losses(self, index: int) -> Tensor:
        """[target tokens of this step] cross-entropies."""
        count = self.config.conversations
        chosen = [self.conversations[i].segments for i in self.order[index * count : (index + 1) * count]]
        return torch.cat(self.model.text_losses(chosen, self.folder)) if chosen else torch.empty(0)

    def _picture_losses(self, index: int) -> Tensor:
        """[pictures + prior_pictures] velocity errors."""
        config, seed = self.config, self.job.seed
        if not config.pictures:
            return torch.empty(0)
        generator = torch_rng(seed, "sft-noise", index)
        own = shuffled(len(self.character.prompts), config.prompts, index, seed)
        losses = [self._pool_losses(self.character, own, config.pictures // config.prompts, generator)]
        if self.prior is not None:
            strangers = shuffled(len(self.prior.prompts), config.prior_pictures, index, seed)
            losses.append(self._pool_losses(self.prior, strangers, 1, generator))
        return torch.cat(losses)

    def _pool_losses(self, pool: PicturePool, rows: list[int], each: int, generator: torch.Generator) -> Tensor:
        x0 = pool.latents[torch.tensor(rows)].repeat_interleave(each, dim=0)
        noise = torch.randn(x0.shape, generator=generator)
        t = sample_times(len(x0), self.config.shift, generator)
        context = self.model.prompt_context([pool.prompts[i] for i in rows])
        return flow_loss(self.model.velocity(add_noise(x0, noise, t), t, context), x0, noise)


class Seen(nn.Module):
    """What training has read; saved with its state, so that a resumed run goes on counting."""

    tokens: Tensor
    """Target tokens so far, a whole number."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros((), dtype=torch.int64))


def _summary(curve: Path, trainer: Trainer, seconds: float) -> dict[str, float]:
    rows, config = read_curve(curve), trainer.config
    last = rows[-max(1, len(rows) // 10) :]
    return {
        **{name: sum(row[name] for row in last) / len(last) for name in ("ce", "mse") if name in last[0]},
        "num_conversations": len(trainer.conversations),
        "num_portraits": len(trainer.character.prompts),
        "target_tokens": int(trainer.seen.tokens),
        "noised_pictures": config.steps * (config.pictures + config.prior_pictures) if config.pictures else 0,
        "training_seconds": round(seconds, 1),
    }
