"""Stage 5, Character-GRPO: reinforce the pictures of the SFT model.

    python -m unichar grpo --character mochi --preset cpu
    accelerate launch --num_processes 8 -m unichar grpo --character bo --preset bagel

A round is one RL step: it samples groups of pictures for some prompts (`rollout.py`), scores them for
identity, prompt alignment, diversity and naturalness (`rubric.py`), turns the rewards into group-relative
advantages and trains on them for a few epochs in minibatches, with DiffusionNFT (`nft.py`) or Flow-GRPO
(`flow_grpo.py`). Only the adapters of the generation expert change. Every few rounds an independent evaluator
validates (`validation.py`): it stops training that costs identity and selects the adapters.

Pictures are sharded over ranks and sampled, scored and trained on in microbatches. Results are all-gathered
and means are taken over whole minibatches, so neither changes the numbers.

With `shard` the weights are split over ranks (FSDP2), which then run equally many passes, each over pictures
of one prompt.

Departs from the paper: DiffusionNFT by default, which needs clean samples only, any number of sampling steps
and no guidance, so that two CPU cores suffice. Diversity is a leave-one-out distance per picture (the paper's
group mean cancels in the advantages). Training, validation and test prompts have no scene in common (the
paper tests on its training prompts). Groups without reward variance are skipped.

Shapes: P prompts of a round with G pictures each, B = P x G; N pictures of a minibatch; [C, h, w] latents.
"""

import dataclasses
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import cycle

import torch
from torch import Tensor, nn

from unichar.domains.lookup import domain_of
from unichar.grpo.advantages import groups_with_variance
from unichar.grpo.config import GrpoConfig
from unichar.grpo.flow_grpo import FlowGrpo
from unichar.grpo.metrics import reward_metrics, summary_of
from unichar.grpo.multimodal import disjoint_turns, training_turns, with_turns
from unichar.grpo.nft import Nft
from unichar.grpo.policy import Minibatch, Snapshot
from unichar.grpo.prompts import training_prompts, validation_prompts
from unichar.grpo.rollout import encode_everywhere, is_sharded, sample_rollout
from unichar.grpo.rubric import Drawn, Rewards, all_gather_rewards, build_rubrics
from unichar.grpo.text_rl import FOLDER, check_pictures, reinforce_replies
from unichar.grpo.validation import Validation
from unichar.model.load import base_digest, load_model
from unichar.model.lora import blocks, save_adapters, trainable
from unichar.model.protocol import UnifiedModel
from unichar.store.files import HashMemory
from unichar.training.curves import read_curve
from unichar.training.loop import run_loop
from unichar.training.meter import Meter
from unichar.training.microbatches import (
    SampleIndex,
    context_rows,
    pictures_per_pass,
    rank_microbatches,
    rank_passes,
)
from unichar.training.ranks import (
    init_process_group,
    is_main,
    shard,
    sum_gradients,
    total,
    wait_for_all,
    whole,
)
from unichar.training.scalars import add_scalar, read_scalars
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import torch_rng
from unichar.training.state import TrainState, run_key
from unichar.training.tracker import Tracker
from unichar.types import CuratedKit, Prompt, StageJob, read_interactions

_WARMUP = 0.08
"""Fraction of the optimizer steps over which the learning rate rises, while AdamW's averages settle."""

ALGORITHMS: dict[str, type[Nft] | type[FlowGrpo]] = {"nft": Nft, "flow_grpo": FlowGrpo}


def run(job: StageJob) -> dict[str, float]:
    """Reinforce the adapters of the SFT stage.

    Writes `adapters/`, `curve.jsonl` and the tracker's files into `job.out`. Resumes from `job.scratch` after
    a kill.

    Returns:
        See `summary_of`; empty on all ranks but 0.
    """
    init_process_group()

    # Settings that do not fit the kind of pictures are refused before the model is loaded.
    kit = CuratedKit.read(job.inputs["curated_kit"])
    config: GrpoConfig = job.config.for_domain(domain_of(kit))
    hashes = HashMemory(job.checksums)
    base_sha256 = base_digest(job.base, hashes)

    # Training continues on SFT's adapters; there are no new ones.
    adapters = job.inputs["sft_checkpoint"] / "adapters"
    model = load_model(job.base, adapters, trainable=True, load=job.load, hashes=hashes)

    trainer = Trainer(model, job)
    began = time.monotonic()

    # Ends early once validation says that identity has fallen.
    run_loop(
        "grpo",
        trainer.round,
        total=config.rounds,
        state=trainer.state(base_sha256),
        save_seconds=config.save_seconds,
        log_every=1,
        finished=lambda: bool(trainer.validation.progress.stopped),
        report=trainer.report,
    )

    # Replies come after the pictures.
    before = Snapshot(trainer.text) if config.text.rounds else None
    if config.text.rounds:
        reinforce_replies(model, job, list(trainer.text.values()), base_sha256)
    seconds = time.monotonic() - began

    # The best round's weights are swapped in only for the last look at the pictures, and for the save.
    numbers = {"training_seconds": round(seconds, 1)}
    with trainer.validation.best.swapped() if config.validation.keep == "best" else nullcontext():
        if before is not None:
            numbers |= check_pictures(model, trainer.validation, before)
        save_adapters(model, job.out / "adapters", base_sha256=base_sha256, quantize=job.load.quantize)

    # One rank writes the curves; the others wait, since a rank that leaves early breaks the group.
    summary = _write_curves(trainer, job) | numbers if is_main() else {}
    wait_for_all()
    return summary


class Trainer:
    """Holds what every round needs; `round` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job
        kit = CuratedKit.read(job.inputs["curated_kit"])
        self.config: GrpoConfig = job.config.for_domain(domain_of(kit))

        # First of all, since sharding replaces the parameters that everything below refers to.
        self.sharded = is_sharded(self.config)
        if self.sharded:
            shard(blocks(model))

        # Frozen while pictures are reinforced: a velocity passes through the text expert of BAGEL, too.
        self.text = trainable(model.und)
        model.und.requires_grad_(False)

        # The policy: adapters of the generation expert. The reference is the SFT model.
        live = trainable(model.gen)
        self.parameters = list(live.values())
        self.reference = Snapshot(live)
        self.algorithm = ALGORITHMS[self.config.algorithm](
            model, self.config, live=live, reference=self.reference, seed=job.seed
        )

        self.prompts, validation = self._prompts(kit)
        self.rubric, evaluator = build_rubrics(model, job, self.config, self.reference)
        self.validation = Validation(
            model,
            validation,
            rubric=self.rubric,
            evaluator=evaluator,
            live=live,
            config=self.config,
            seed=job.seed,
        )

        learning_rate = self.config.lr
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.meter = Meter()
        self.tracker = Tracker(self.config.tracker, job.scratch, run="grpo")

    def _prompts(self, kit: CuratedKit) -> tuple[list[Prompt], list[Prompt]]:
        """(training prompts of all rounds, validation prompts)."""
        config, seed = self.config, self.job.seed
        train = read_interactions(self.job.inputs["interactions"] / "train.jsonl")
        test = read_interactions(self.job.inputs["interactions"] / "test.jsonl")

        # Multimodal turns replace some of the prompts, but only if consistency is rewarded.
        turns = training_turns(kit, train, test) if config.reward.consistency_weight else []

        # Validation first: what it asks for is not trained on.
        validation = validation_prompts(kit, train, test, count=config.validation.prompts, seed=seed)
        # A fifth of the multimodal turns is for validation.
        validation = with_turns(validation, turns[::5])

        # All rounds at once; few turns are repeated as often as needed.
        count = config.rounds * config.rollout.prompts
        training = training_prompts(kit, train, test, validation=validation, count=count, seed=seed)
        training = with_turns(training, cycle(disjoint_turns(turns, validation, domain_of(kit))))
        return training, validation

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)

        # Everything a resumed round depends on; prompts and noise are functions of seed and round.
        modules = {
            "gen": self.model.gen,
            "best": self.validation.best,
            "progress": self.validation.progress,
            **self.algorithm.modules,
        }
        return TrainState(self.job.scratch / "state.safetensors", modules, {"adamw": self.optimizer}, key=key)

    def report(self, index: int, means: dict[str, float]) -> dict[str, float]:
        """A row of the curve with speed and memory added; the tracker gets it too."""
        rollout = self.config.rollout
        row = means | self.meter.read(pictures=(index + 1) * rollout.prompts * rollout.group)
        self.tracker.log(index, row)
        return row

    def round(self, index: int) -> dict[str, float]:
        """One RL step; validates before the first round, every `validation.every` rounds and at the end."""
        config = self.config

        # The SFT model is validated before anything is trained: it is what later rounds must beat.
        numbers = self.validation.validate(0) if index == 0 else {}
        numbers |= self.rl_step(index)

        rounds = index + 1
        if rounds % config.validation.every == 0 or rounds == config.rounds:
            numbers |= self.validation.validate(rounds)
        return numbers

    def rl_step(self, index: int) -> dict[str, float]:
        """Sample groups of pictures, score them, train on them; returns the round's numbers."""
        config = self.config.rollout
        prompts = self.prompts[index * config.prompts : (index + 1) * config.prompts]

        # DiffusionNFT samples with the EMA policy, Flow-GRPO with the trained one.
        with self.algorithm.sampling_policy():
            rollout = sample_rollout(
                self.model,
                self.algorithm,
                prompts,
                config=config,
                index=index,
                seed=self.job.seed,
                sharded=self.sharded,
            )

        # Gradients and optimizer steps come last; until then the policy of the round does not change.
        rewards = self.score(prompts, rollout["x0"])
        return self.train_on(prompts, rollout, rewards, index)

    def score(self, prompts: Sequence[Prompt], latents: Tensor) -> Rewards:
        """Rewards of B pictures with latents [B, C, h, w]; groups stay whole, for diversity compares them."""
        config = self.config.rollout
        groups = latents.unflatten(0, (len(prompts), -1))  # [P, G, C, h, w]

        # As many microbatches as training has in one epoch, so that scoring needs no more memory.
        samples: list[SampleIndex] = []
        found: list[Rewards] = []
        for microbatch in rank_microbatches(len(prompts), config.microbatches * config.minibatches, pad=True):
            if not microbatch:
                continue

            # Whole groups of this rank; padding keeps the collective calls in step.
            own = torch.cat([groups[sample.index] for sample in microbatch])  # [groups x G, C, h, w]
            drawn = Drawn(latents=own, pixels=self.model.decode_latents(own))
            found.append(self.rubric.score(drawn, [prompts[sample.index] for sample in microbatch]))
            samples += microbatch

        return all_gather_rewards(samples, found, len(prompts))

    def train_on(
        self, prompts: Sequence[Prompt], rollout: dict[str, Tensor], rewards: Rewards, index: int
    ) -> dict[str, float]:
        """The optimizer steps of a round, on the groups with variance."""
        config, progress = self.config, self.validation.progress

        # Groups whose pictures all score alike do not say what to prefer.
        use = groups_with_variance(rewards.total, min_spread=config.reward.min_spread)  # [P]
        progress.skipped += int((~use).sum())

        # Positions and advantages of the U pictures in use.
        advantages = torch.zeros(0)
        if use.any():
            advantages = self.algorithm.advantages(rewards.total[use]).flatten()  # [U]
        pictures = torch.arange(rewards.total.numel()).view(rewards.total.shape)  # [P, G]
        pictures = pictures[use].flatten()  # [U]

        # The curve gets the metrics of the last optimizer step; a round without groups in use has none.
        numbers: dict[str, float] = {}
        for step, positions in self._minibatches(int(use.sum()), index):
            minibatch = Minibatch(
                rollout=rollout, indices=pictures[positions], advantages=advantages[positions]
            )
            texts = [prompts[picture // config.rollout.group].text for picture in minibatch.indices.tolist()]
            numbers = self._optimizer_step(minibatch, texts, step)
            progress.steps += 1

        # The count includes all rounds; DiffusionNFT's EMA decay follows it.
        self.algorithm.finish_round(int(progress.steps))

        numbers |= reward_metrics(rewards, advantages, clip=config.reward.advantage_clip)
        return numbers | {"skipped_groups": float((~use).sum())}

    def _minibatches(self, num_groups: int, index: int) -> Iterator[tuple[int, Tensor]]:
        """(optimizer step of the run, [N] positions among the pictures in use) of a round's minibatches.

        Each epoch is one shuffled pass over the groups, `step_prompts` at a time. Steps are numbered as if no
        group had been skipped, so that the learning rate is a function of the round and the epoch.
        """
        config, rollout = self.config, self.config.rollout
        positions = torch.arange(num_groups * rollout.group).view(num_groups, rollout.group)  # [groups, G]

        # Epochs are numbered over the run: each has an order of its own that a resumed run repeats.
        for epoch in range(index * config.epochs, (index + 1) * config.epochs):
            order = torch.randperm(num_groups, generator=torch_rng(self.job.seed, "grpo-order", epoch))
            if not num_groups:
                continue
            for number, groups in enumerate(order.split(rollout.step_prompts)):
                # Sorted, so that pictures of a prompt stay together and prompts keep their order.
                yield epoch * rollout.minibatches + number, positions[groups.sort().values].flatten()

    def _optimizer_step(self, minibatch: Minibatch, texts: Sequence[str], step: int) -> dict[str, float]:
        """One optimizer step on N pictures with their prompts, sharded over ranks; returns its metrics."""
        config = self.config
        sums = self._accumulate_gradients(minibatch, texts, step)
        sum_gradients(self.parameters)

        # The schedule is over all optimizer steps that the run could take.
        total_steps = config.rounds * config.epochs * config.rollout.minibatches
        set_factor(self.optimizer, trapezoid(step, total_steps, warmup=_WARMUP, decay=config.lr_decay))

        # Clipped after the sum over ranks, so that every rank takes the same step.
        norm = nn.utils.clip_grad_norm_(self.parameters, config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()

        # Each rank has summed its part of the weighted means; losses are read here, once a step.
        metrics = self.algorithm.metrics
        add_scalar(sums, "gradient", whole(norm))
        *own, gradient = read_scalars(sums, [*metrics, "gradient"])
        return dict(zip(metrics, total(own), strict=True)) | {"gradient": gradient}

    def _accumulate_gradients(
        self, minibatch: Minibatch, texts: Sequence[str], step: int
    ) -> dict[str, Tensor]:
        """Add this rank's part of the minibatch's gradients; returns its part of the metrics' means."""
        rollout = self.config.rollout
        together = 1
        if self.sharded:
            encode_everywhere(self.model, texts)
            together = pictures_per_pass(len(texts) // rollout.group, rollout.group, rollout.microbatches)

        # A rank without pictures adds no gradients; with sharded weights it runs padding, which has weight 0.
        sums: dict[str, Tensor] = {}
        for units in rank_passes(len(texts) // together, rollout.microbatches, singly=self.sharded):
            positions = [unit.index * together + i for unit in units for i in range(together)]
            with torch.no_grad():
                context = self.model.prompt_context(context_rows([texts[i] for i in positions]))

            # Padding comes in passes of its own, so a pass has one weight.
            weight = units[0].weight
            metrics = self.algorithm.accumulate_gradients(
                minibatch, torch.tensor(positions), context, step, partial(_backward, weight=weight)
            )
            for name, value in metrics.items():
                add_scalar(sums, name, value * weight)
        return sums


def _backward(loss: Tensor, *, weight: float) -> None:
    """Add the gradients of `weight` times the loss."""
    (loss * weight).backward()


def _write_curves(trainer: Trainer, job: StageJob) -> dict[str, float]:
    """Copy the curves and the tracker's files into the output; returns the summary."""
    shutil.copyfile(job.scratch / "curve.jsonl", job.out / "curve.jsonl")
    if job.config.text.rounds:
        shutil.copyfile(job.scratch / FOLDER / "curve.jsonl", job.out / "curve_text.jsonl")
    trainer.tracker.keep(job.out)
    return summary_of(read_curve(job.out / "curve.jsonl"), trainer.config, trainer.validation.progress)
