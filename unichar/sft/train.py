"""Stage 4, Unified-SFT: one objective over everything the character should say and draw.

    python -m unichar sft --character mochi --preset cpu
    accelerate launch --num_processes 8 -m unichar sft --character mochi --preset bagel

Each optimizer step reads conversations in a set mix of kinds (cross-entropy on the replies, reasoning texts
and answers), pictures of the character under several prompts, and prior-preservation images (flow-matching
error on velocities). LoRA adapters on the text backbone (`und`) and on the generation expert (`gen`) are
trained; all other weights are frozen.

A step may be read in microbatches and sharded over ranks: means are taken over the whole step, so neither
changes the numbers. Where the model reads prompts with the text adapters (BAGEL), the error on pictures
trains these through the prompt, too, as the paper's joint objective does.

Departs from the paper: LoRA instead of full tuning; one text batch and one picture batch per step instead of
one text sample among hundreds of picture passes; prior-preservation images against forgetting.
"""

import dataclasses
import shutil
import time

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
from unichar.sft.validation import Validation, hold_out
from unichar.store.files import HashMemory
from unichar.training.curves import read_curve
from unichar.training.loop import run_loop
from unichar.training.meter import Meter
from unichar.training.microbatches import SampleIndex, context_rows, pictures_per_pass, rank_passes
from unichar.training.ranks import (
    init_process_group,
    is_main,
    shard,
    sum_gradients,
    total,
    wait_for_all,
    world_size,
)
from unichar.training.scalars import device_of, read_scalars
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import torch_rng
from unichar.training.state import TrainState, run_key
from unichar.training.tracker import Tracker
from unichar.types import CuratedKit, Interaction, StageJob, read_interactions

_WARMUP, _DECAY = 0.05, 0.5
"""Fractions of the steps over which the learning rate rises at first and falls at the end."""


def run(job: StageJob) -> dict[str, float]:
    """Train the adapters.

    Writes `adapters/`, `curve.jsonl`, the sheets of validation and the tracker's files into `job.out`.
    Resumes from `job.scratch` after a kill.

    Returns:
        Final losses (means of the last tenth of the curve), counts and speed; empty on all ranks but 0.
    """
    init_process_group()

    config: SftConfig = job.config
    base_sha256 = base_digest(job.base, HashMemory(job.checksums))

    # The base stays frozen; only the adapters that are attached here are trained and saved.
    model = load_model(job.base, load=job.load)

    # alpha = 2 rank for both: the adapters' output is scaled by 2 for any rank.
    und = LoraSettings(rank=config.und_rank, alpha=2 * config.und_rank, targets=config.und_targets)
    gen = LoraSettings(rank=config.gen_rank, alpha=2 * config.gen_rank, targets=config.gen_targets)
    add_adapters(model, und=und, gen=gen, seed=job.seed)

    # All ranks run the loop; a saved state in the scratch folder is found and continued.
    trainer = Trainer(model, job)
    began = time.monotonic()
    run_loop(
        "sft",
        trainer.step,
        total=config.steps,
        state=trainer.state(base_sha256),
        save_seconds=config.save_seconds,
        log_every=5,
        finished=trainer.validation.should_stop,
        report=trainer.report,
    )
    seconds = time.monotonic() - began

    # Before saving, so that `adapters/` holds what validation selected.
    trainer.validation.restore_best()
    save_adapters(model, job.out / "adapters", base_sha256=base_sha256, quantize=job.load.quantize)

    # One rank writes the curves; the others wait, since a rank that leaves early breaks the group.
    summary = _write_curves(trainer, job) | {"training_seconds": round(seconds, 1)} if is_main() else {}
    wait_for_all()
    return summary


class Trainer:
    """Holds what every step needs; `step` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job

        # Settings may depend on the kind of pictures (prior preservation).
        self.folder = job.inputs["curated_kit"]
        domain = domain_of(CuratedKit.read(self.folder))
        self.config: SftConfig = job.config.for_domain(domain)
        config = self.config

        # Data. Pictures first (few-shot studies), then held-out topics, which must not train in any form.
        items = with_pictures(read_interactions(job.inputs["interactions"] / "train.jsonl"), config.images)
        uses_held_out = config.validation.every and config.conversations
        items, held_out = hold_out(items, config.validation.conversations if uses_held_out else 0, job.seed)

        # Conversations in the order of all steps, which makes a batch a function of the step.
        self.conversations = [item for item in items if item.kind != "portrait"]
        self.order = self._order()

        # Pictures are encoded once, here: every step noises the same latents.
        samples = [item for item in items if item.kind == "portrait"]
        self.character = character_pool(model, samples, self.folder)
        self.prior = prior_pool(model, config, domain, job.seed) if config.prior_pictures else None
        self.validation = Validation(model, job, held_out, self._sheet_prompts())

        # Memory: FSDP2 over ranks, activation checkpointing. The reentrant variant of the latter would lose
        # gradients, since frozen embeddings feed the layers inputs that require none.
        self.sharded = config.shard and world_size() > 1
        if self.sharded:
            shard(blocks(model))
        if config.checkpointing:
            model.und.activation_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]

        # The optimizer comes after sharding, which replaces the parameters.
        self.und, self.gen = list(trainable(model.und).values()), list(trainable(model.gen).values())
        groups = [{"params": self.und, "lr": config.und_lr}, {"params": self.gen, "lr": config.gen_lr}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0)

        # The counter is part of the training state, the meter (clock and memory) is not.
        self.counter = TokenCounter()
        self.meter = Meter()
        self.tracker = Tracker(config.tracker, job.scratch, run="sft")

    def _order(self) -> list[int]:
        """Indices of the conversations of all steps, one step after the other."""
        count = self.config.steps * self.config.conversations
        if not count:
            return []

        # All steps at once, so that the mix of kinds is spread over the whole run.
        return mixed([item.kind for item in self.conversations], self.config.mix, count, self.job.seed)

    def _sheet_prompts(self) -> list[str]:
        """Prompts of the validation sheet, spread evenly over the training prompts."""
        prompts, count = self.character.prompts, self.config.validation.pictures
        if not self.config.validation.every or not self.config.pictures:
            return []
        return [prompts[i * len(prompts) // count] for i in range(count)]

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)

        # Everything a resumed step depends on; batches and noise are functions of seed and step.
        modules = {
            "und": self.model.und,
            "gen": self.model.gen,
            "counter": self.counter,
            "validation": self.validation.history,
        }
        return TrainState(self.job.scratch / "state.safetensors", modules, {"adamw": self.optimizer}, key=key)

    def report(self, index: int, means: dict[str, float]) -> dict[str, float]:
        """A row of the curve with speed and memory added; the tracker gets it too."""
        # Totals of the run; the meter takes the difference to its last reading.
        pictures = (index + 1) * self.pictures_per_step
        row = means | self.meter.read(tokens=int(self.counter.tokens), pictures=pictures)
        self.tracker.log(index, row)
        return row

    @property
    def pictures_per_step(self) -> int:
        """Noised pictures per step, prior-preservation images included."""
        return self.config.pictures + self.config.prior_pictures if self.config.pictures else 0

    def step(self, index: int) -> dict[str, float]:
        """One optimizer step on a mixed batch, sharded over ranks; returns the step's numbers."""
        config = self.config
        parameters = self.und + self.gen
        set_factor(self.optimizer, trapezoid(index, config.steps, warmup=_WARMUP, decay=_DECAY))
        accumulator = LossAccumulator()

        # Text first; its graph is freed before that of the pictures is built. The number of target tokens is
        # known only after the forward pass, so gradients of the summed cross-entropy are scaled to those of
        # the weighted mean before gradients of pictures are added.
        self._backward_text(index, accumulator)
        (tokens,) = total([accumulator.count(TEXT)])
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(config.ce_weight / tokens)

        self._backward_pictures(index, accumulator)
        sum_gradients(parameters)

        # Each side by itself: with one norm for both, the side with larger gradients would scale the other
        # down.
        for side in (self.und, self.gen):
            nn.utils.clip_grad_norm_(side, config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

        # Losses are those of the whole step, so every rank reports the same numbers.
        self.counter.tokens += int(tokens)
        losses = self._losses(accumulator)
        und, gen = self.optimizer.param_groups
        rates = {"lr_und": und["lr"], "lr_gen": gen["lr"]}
        return losses | rates | self.validation.validate(index)

    def _backward_text(self, index: int, accumulator: LossAccumulator) -> None:
        """Add the gradients of the summed cross-entropies of this step's conversations."""
        count = self.config.conversations
        order = self.order[index * count : (index + 1) * count]
        items = [self.conversations[i] for i in order]

        # Each pass leaves the gradients of its sum.
        for samples in rank_passes(len(items), self.config.microbatches, singly=self.sharded):
            self._backward_conversations([items[sample.index] for sample in samples], samples, accumulator)

    def _backward_conversations(
        self, items: list[Interaction], samples: list[SampleIndex], accumulator: LossAccumulator
    ) -> None:
        """One forward and backward pass over conversations packed together; padding has weight 0."""
        # Activation checkpointing is active in training mode only.
        self.model.und.train(self.config.checkpointing)
        losses = self.model.text_losses([item.segments for item in items], self.folder)  # [targets] per item
        self.model.und.eval()

        # Sums, not means: the number of target tokens of the whole step is not known yet.
        sums = [loss.sum() * sample.weight for loss, sample in zip(losses, samples, strict=True)]
        torch.stack(sums).sum().backward()

        # Padding is not counted, it belongs to another sample.
        for item, loss, sample in zip(items, losses, samples, strict=True):
            if sample.weight:
                accumulator.add(f"{TEXT}_{item.kind}", loss.detach().sum(), len(loss))

    def _backward_pictures(self, index: int, accumulator: LossAccumulator) -> None:
        """Add the gradients of the weighted mean velocity error of this step's pictures."""
        config, seed = self.config, self.job.seed
        if not config.pictures:
            return

        # One generator per step; character and prior preservation draw from it in this order.
        generator = torch_rng(seed, "sft-noise", index)

        # Different prompts, each with equally many noised pictures.
        entries = shuffled(len(self.character.prompts), config.prompts, index, seed)
        each = config.pictures // config.prompts
        self._backward_pool("portraits", self.character, entries, each, generator, accumulator)

        if self.prior is not None:
            entries = shuffled(len(self.prior.prompts), config.prior_pictures, index, seed)
            self._backward_pool("prior", self.prior, entries, 1, generator, accumulator)

    def _backward_pool(
        self,
        name: str,
        pool: PicturePool,
        entries: list[int],
        each: int,
        generator: torch.Generator,
        accumulator: LossAccumulator,
    ) -> None:
        """Passes over `each` noised pictures of some entries of a pool; B = len(entries) x each.

        Every rank draws the noise and times of all B pictures, so that they do not depend on the sharding.
        """
        x0 = pool.latents[torch.tensor(entries)].repeat_interleave(each, dim=0)  # [B, C, h, w]
        noise = torch.randn(x0.shape, generator=generator)  # [B, C, h, w]
        t = sample_times(len(x0), self.config.shift, generator)  # [B]
        of_picture = [number for number in range(len(entries)) for _ in range(each)]  # entry of each picture
        prompts = [pool.prompts[entry] for entry in entries]
        if self.sharded and not self.model.pictures_follow_text:
            # Encode the prompts of all ranks here: new ones cost a pass, and ranks must run equally many.
            self.model.prompt_context(prompts)

        # The weight of one picture in the mean over all pictures of the step, known before any pass.
        scale = self.config.mse_weight / (self.config.pictures + self.config.prior_pictures)

        # Pictures of a prompt stay together, so that few prompts are encoded twice. Sharded, a pass reads one
        # prompt: all ranks then encode equally many.
        microbatches = self.config.microbatches
        together = pictures_per_pass(len(entries), each, microbatches) if self.sharded else 1
        for samples in rank_passes(len(x0) // together, microbatches, singly=self.sharded):
            positions = [sample.index * together + i for sample in samples for i in range(together)]
            weights = [sample.weight for sample in samples for _ in range(together)]
            rows = context_rows([of_picture[position] for position in positions])
            context = self.model.prompt_context([prompts[row] for row in rows])

            # Everything below is of this pass; its graph, the prompts' included, ends with the backward pass.
            device = device_of(self.model.gen)
            x, eps, times = (all_of[positions].to(device) for all_of in (x0, noise, t))
            velocity = self.model.velocity(add_noise(x, eps, times), times, context)
            errors = flow_loss(velocity, x, eps) * torch.tensor(weights).to(device)  # [pictures of this pass]
            (errors.sum() * scale).backward()
            accumulator.add(f"{PICTURES}_{name}", errors.detach().sum(), int(sum(weights)))

    def _losses(self, accumulator: LossAccumulator) -> dict[str, float]:
        """The objective and its parts over all ranks; the only read of losses in a step."""
        # The same list on every rank, since sums are exchanged by position; a rank may lack some tasks.
        names = [f"{TEXT}_{kind}" for kind in sorted({item.kind for item in self.conversations})]
        names += [f"{PICTURES}_portraits", f"{PICTURES}_prior"]

        sums = total(read_scalars(accumulator.sums, names))
        counts = total([accumulator.counts.get(name, 0.0) for name in names])
        return unified_loss(
            dict(zip(names, sums, strict=True)),
            dict(zip(names, counts, strict=True)),
            ce_weight=self.config.ce_weight,
            mse_weight=self.config.mse_weight,
        )


class TokenCounter(nn.Module):
    """Number of tokens trained on; saved with the training state, so that a resumed run goes on counting."""

    tokens: Tensor
    """Target tokens so far, int64."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("tokens", torch.zeros((), dtype=torch.int64))


def _write_curves(trainer: Trainer, job: StageJob) -> dict[str, float]:
    """Copy curve, sheets and the tracker's files into the output; returns the summary."""
    shutil.copyfile(job.scratch / "curve.jsonl", job.out / "curve.jsonl")
    trainer.tracker.keep(job.out)
    trainer.validation.keep(job.out)
    return _summary(read_curve(job.out / "curve.jsonl"), trainer)


def _summary(rows: list[dict[str, float]], trainer: Trainer) -> dict[str, float]:
    """Mean losses of the last tenth of the curve, the lowest held-out loss, and counts."""
    # At least one row; a single batch is too noisy to stand for the end of training.
    last = rows[-max(1, len(rows) // 10) :]
    names = sorted({name for row in last for name in row if name.startswith((TEXT, PICTURES))})
    summary = {name: _mean(last, name) for name in names}

    # Infinite while nothing has been validated.
    best = trainer.validation.history.best
    if best.isfinite():
        summary["held_out_nll"] = best.item()

    # Early stopping may have ended the run before `config.steps`.
    steps = int(rows[-1]["step"]) + 1
    return summary | {
        "num_conversations": len(trainer.conversations),
        "num_portraits": len(trainer.character.prompts),
        "target_tokens": int(trainer.counter.tokens),
        "num_held_out": len(trainer.validation.held_out),
        "noised_pictures": steps * trainer.pictures_per_step,
        "optimizer_steps": steps,
    }


def _mean(rows: list[dict[str, float]], name: str) -> float:
    """The mean over the rows that have the number."""
    # A task that no batch of a row contained has no number there.
    values = [row[name] for row in rows if name in row]
    return sum(values) / len(values)
