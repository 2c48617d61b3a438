"""Stage 4, Unified-SFT: one objective over everything the character should say and draw.

    python -m unichar sft --character mochi --preset cpu
    accelerate launch --num_processes 8 -m unichar sft --character mochi --preset bagel

Every step sees conversations in a set mix of kinds (cross-entropy on the replies, plans and answers), pictures of the
character under several prompts, and a few strangers (flow-matching error on velocities). What trains is LoRA on the text
backbone and on the generation expert; the rest of the model stays as it is.

A step may be read in parts (`accumulate`) by several processes: means are taken over the whole step, so neither changes it.

Departs from the paper: LoRA instead of full tuning; one text batch and one picture batch a step instead of one text sample
among hundreds of picture passes; strangers against forgetting.
"""

import dataclasses
import shutil
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from unichar.domains.lookup import domain_of
from unichar.model.flow import add_noise, flow_loss, sample_times
from unichar.model.load import base_digest, load_model
from unichar.model.lora import LoraSettings, add_adapters, blocks, save_adapters, trainable
from unichar.model.protocol import UnifiedModel
from unichar.sft.batches import PicturePool, character_pool, mixed, prior_pool, shuffled, with_pictures
from unichar.sft.config import SftConfig
from unichar.sft.loss import PICTURES, TEXT, LossAccumulator, unified_loss
from unichar.sft.validation import Validation, set_aside
from unichar.training.curves import read_curve
from unichar.training.loop import run_loop
from unichar.training.meter import Meter
from unichar.training.microbatches import Row, shares
from unichar.training.ranks import is_main, join, shard, sum_gradients, total, wait_for_all, world_size
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import torch_rng
from unichar.training.state import TrainState, run_key
from unichar.training.tracker import Tracker
from unichar.types import CuratedKit, Interaction, StageJob, read_interactions


def run(job: StageJob) -> dict[str, float]:
    """Train the adapters; writes `adapters/`, `curve.jsonl` and what looks and tracker leave. Resumes from `job.scratch`.

    Returns:
        Final losses (means of the last tenth of the curve), counts and speed; nothing in processes that only help.
    """
    join()
    base_sha256 = base_digest(job.base)
    model = load_model(job.base)
    config: SftConfig = job.config
    und = LoraSettings(rank=config.und_rank, alpha=2 * config.und_rank, targets=config.und_targets)
    gen = LoraSettings(rank=config.gen_rank, alpha=2 * config.gen_rank, targets=config.gen_targets)
    add_adapters(model, und=und, gen=gen, seed=job.seed)
    trainer = Trainer(model, job)
    began = time.monotonic()
    run_loop(
        "sft",
        trainer.step,
        total=config.steps,
        state=trainer.state(base_sha256),
        save_seconds=config.save_seconds,
        log_every=5,
        finished=trainer.watch.enough,
        report=trainer.report,
    )
    seconds = time.monotonic() - began
    trainer.watch.restore_best()
    save_adapters(model, job.out / "adapters", base_sha256=base_sha256)
    summary = _keep(trainer, job, seconds) if is_main() else {}
    wait_for_all()
    return summary


class Trainer:
    """Holds what every step needs; `step` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job
        self.folder = job.inputs["curated_kit"]
        domain = domain_of(CuratedKit.read(self.folder))
        self.config: SftConfig = job.config.for_domain(domain)
        items = with_pictures(
            read_interactions(job.inputs["interactions"] / "train.jsonl"), self.config.images
        )
        kept_aside = (
            self.config.validation.conversations
            if self.config.validation.every and self.config.conversations
            else 0
        )
        items, held_out = set_aside(items, kept_aside, job.seed)
        self.conversations = [item for item in items if item.kind != "portrait"]
        self.order = self._order()
        self.character = character_pool(
            model, [item for item in items if item.kind == "portrait"], self.folder
        )
        self.prior = prior_pool(model, self.config, domain, job.seed) if self.config.prior_pictures else None
        self.watch = Validation(model, job, held_out, self._watched_prompts())
        self.sharded = self.config.shard and world_size() > 1
        if self.sharded:
            shard(blocks(model))
        if self.config.checkpointing:
            model.und.activation_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
        self.und, self.gen = list(trainable(model.und).values()), list(trainable(model.gen).values())
        groups = [
            {"params": self.und, "lr": self.config.und_lr},
            {"params": self.gen, "lr": self.config.gen_lr},
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0)
        self.seen = Seen()
        self.meter = Meter()
        self.tracker = Tracker(self.config.tracker, job.scratch, run="sft")

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)
        modules = {
            "und": self.model.und,
            "gen": self.model.gen,
            "seen": self.seen,
            "watch": self.watch.history,
        }
        return TrainState(self.job.scratch / "state.safetensors", modules, {"adamw": self.optimizer}, key=key)

    def step(self, index: int) -> dict[str, float]:
        """One optimizer step over one mixed batch, of which this process reads its share.

        Text comes first: how many tokens it has is known only after it is read, so its gradients are sums that are then
        divided, before those of pictures are added.
        """
        config = self.config
        set_factor(self.optimizer, trapezoid(index, config.steps, warmup=0.05, decay=0.5))
        accumulator = LossAccumulator()
        self._learn_text(index, accumulator)
        (tokens,) = total([accumulator.count(TEXT)])
        for parameter in self.und + self.gen:
            if parameter.grad is not None:
                parameter.grad.mul_(config.ce_weight / tokens)
        self._learn_pictures(index, accumulator)
        sum_gradients(self.und + self.gen)
        for side in (self.und, self.gen):
            nn.utils.clip_grad_norm_(side, config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.seen.tokens += int(tokens)
        losses = unified_loss(
            self._joined(accumulator), ce_weight=config.ce_weight, mse_weight=config.mse_weight
        )
        rates = {
            f"lr_{side}": group["lr"]
            for side, group in zip(("und", "gen"), self.optimizer.param_groups, strict=True)
        }
        return losses | rates | self.watch.look(index)

    def report(self, index: int, means: dict[str, float]) -> dict[str, float]:
        """A line of the curve with speed and memory, which also goes to the tracker."""
        pictures = (
            (index + 1) * (self.config.pictures + self.config.prior_pictures) if self.config.pictures else 0
        )
        row = means | self.meter.read(tokens=int(self.seen.tokens), pictures=pictures)
        self.tracker.log(index, row)
        return row

    def _order(self) -> list[int]:
        """Which conversations the whole run reads, one after the other."""
        count = self.config.steps * self.config.conversations
        return (
            mixed([item.kind for item in self.conversations], self.config.mix, count, self.job.seed)
            if count
            else []
        )

    def _watched_prompts(self) -> list[str]:
        """Prompts of the sheet: spread over the training portraits."""
        prompts, count = self.character.prompts, self.config.validation.pictures
        if not self.config.validation.every or not self.config.pictures:
            return []
        return [prompts[i * len(prompts) // count] for i in range(count)]

    def _learn_text(self, index: int, accumulator: LossAccumulator) -> None:
        """Add the gradients of the summed cross-entropies of this step's conversations."""
        count = self.config.conversations
        chosen = [self.conversations[i] for i in self.order[index * count : (index + 1) * count]]
        for part in shares(len(chosen), self.config.microbatches, even=self.sharded):
            # Split weights are gathered once a pass, so processes must make equally many: one a conversation.
            for rows in [[row] for row in part] if self.sharded else [part]:
                if rows:
                    self._learn_conversations([chosen[row.place] for row in rows], rows, accumulator)

    def _learn_conversations(
        self, items: list[Interaction], rows: list[Row], accumulator: LossAccumulator
    ) -> None:
        self.model.und.train(
            self.config.checkpointing
        )  # the backbone forgets activations only when it trains
        losses = self.model.text_losses([item.segments for item in items], self.folder)
        self.model.und.eval()
        torch.stack(
            [loss.sum() * row.weight for loss, row in zip(losses, rows, strict=True)]
        ).sum().backward()
        for item, loss, row in zip(items, losses, rows, strict=True):
            if row.weight:
                accumulator.add(f"{TEXT}_{item.kind}", loss.detach().sum().item(), len(loss))

    def _learn_pictures(self, index: int, accumulator: LossAccumulator) -> None:
        """Add the gradients of the weighted mean velocity error of this step's pictures."""
        config, seed = self.config, self.job.seed
        if not config.pictures:
            return
        generator = torch_rng(seed, "sft-noise", index)
        own = shuffled(len(self.character.prompts), config.prompts, index, seed)
        each = config.pictures // config.prompts
        self._learn_pool("portraits", self.character, own, each, generator, accumulator)
        if self.prior is not None:
            strangers = shuffled(len(self.prior.prompts), config.prior_pictures, index, seed)
            self._learn_pool("prior", self.prior, strangers, 1, generator, accumulator)

    def _learn_pool(
        self,
        name: str,
        pool: PicturePool,
        chosen: list[int],
        each: int,
        generator: torch.Generator,
        accumulator: LossAccumulator,
    ) -> None:
        """`each` noised pictures of every chosen prompt; noise and times are drawn for all of them, whoever reads them."""
        x0 = pool.latents[torch.tensor(chosen)].repeat_interleave(each, dim=0)
        noise = torch.randn(x0.shape, generator=generator)
        t = sample_times(len(x0), self.config.shift, generator)
        if self.sharded:  # read together what is new to anyone, in equally many passes
            self.model.prompt_context([pool.prompts[i] for i in chosen])
        scale = self.config.mse_weight / (self.config.pictures + self.config.prior_pictures)
        for rows in shares(len(chosen), self.config.microbatches, even=self.sharded):
            if not rows:
                continue
            places = torch.tensor([row.place * each + picture for row in rows for picture in range(each)])
            weights = torch.tensor([row.weight for row in rows for _ in range(each)])
            context = self.model.prompt_context([pool.prompts[chosen[row.place]] for row in rows])
            x, eps, times = x0[places], noise[places], t[places]
            errors = (
                flow_loss(self.model.velocity(add_noise(x, eps, times), times, context), x, eps) * weights
            )
            (errors.sum() * scale).backward()
            accumulator.add(f"{PICTURES}_{name}", errors.detach().sum().item(), int(weights.sum()))

    def _joined(self, accumulator: LossAccumulator) -> LossAccumulator:
        """The tally of all processes."""
        names = [f"{TEXT}_{kind}" for kind in sorted({item.kind for item in self.conversations})]
        names += [f"{PICTURES}_portraits", f"{PICTURES}_prior"]
        sums = total([accumulator.sums.get(name, 0.0) for name in names])
        counts = total([accumulator.counts.get(name, 0.0) for name in names])
        return LossAccumulator(
            sums=dict(zip(names, sums, strict=True)), counts=dict(zip(names, counts, strict=True))
        )


class Seen(nn.Module):
    """What training has read; saved with its state, so that a resumed run goes on counting."""

    tokens: Tensor
    """Target tokens so far, a whole number."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros((), dtype=torch.int64))


def _keep(trainer: Trainer, job: StageJob, seconds: float) -> dict[str, float]:
    shutil.copyfile(job.scratch / "curve.jsonl", job.out / "curve.jsonl")
    trainer.tracker.keep(job.out)
    trainer.watch.keep(job.out)
    return _summary(job.out / "curve.jsonl", trainer, seconds)


def _summary(curve: Path, trainer: Trainer, seconds: float) -> dict[str, float]:
    rows, config = read_curve(curve), trainer.config
    last = rows[-max(1, len(rows) // 10) :]
    return {
        **{
            name: _mean(last, name)
            for name in sorted({n for row in last for n in row if n.startswith((TEXT, PICTURES))})
        },
        **(
            {"held_out_nll": trainer.watch.history.best.item()}
            if trainer.watch.history.best.isfinite()
            else {}
        ),
        "num_conversations": len(trainer.conversations),
        "num_portraits": len(trainer.character.prompts),
        "target_tokens": int(trainer.seen.tokens),
        "num_held_out": len(trainer.watch.held_out),
        "noised_pictures": (int(rows[-1]["step"]) + 1) * (config.pictures + config.prior_pictures)
        if config.pictures
        else 0,
        "training_seconds": round(seconds, 1),
        "optimizer_steps": int(rows[-1]["step"]) + 1,
    }


def _mean(rows: list[dict[str, float]], name: str) -> float:
    """The mean over the rows that have it."""
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values)
