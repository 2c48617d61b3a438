"""Stage 5, Character-GRPO: reinforce the pictures of the SFT model.

    python -m unichar grpo --character mochi --preset cpu
    accelerate launch --num_processes 8 -m unichar grpo --character bo --preset bagel

A round draws groups of pictures for a few prompts, judges them (identity, prompt alignment, diversity, naturalness), turns the
rewards into group-relative advantages and passes over them a few times with DiffusionNFT (`nft.py`) or Flow-GRPO
(`flow_grpo.py`), some prompts an optimizer step. Only the generation expert's adapters change. Now and then an evaluator that
gives no rewards looks (`watch.py`): it stops learning that costs identity, and the best adapters in its eyes are the result.

Pictures are shared out among processes and drawn, judged and learned in parts (`accumulate`). What is found goes to all of them
and means are taken over a whole step, so neither changes it.

Departs from the paper: DiffusionNFT by default, which needs clean samples only, any number of steps and no guidance; that is
what two cores can pay for. Diversity is a leave-one-out distance a picture (the paper's group mean cancels in the advantages).
Prompts to learn from, to watch and to test share no scene (the paper's test set is its training set). Groups without
differences are skipped.
"""

import dataclasses
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import cycle, groupby

import torch
from torch import Tensor, nn

from unichar.domains.lookup import domain_of
from unichar.grpo.advantages import groups_with_variance
from unichar.grpo.config import GrpoConfig
from unichar.grpo.flow_grpo import FlowGrpo
from unichar.grpo.multimodal import apart, training_turns, with_turns
from unichar.grpo.nft import Nft
from unichar.grpo.policy import Minibatch, Snapshot
from unichar.grpo.prompts import training_prompts, validation_prompts
from unichar.grpo.rubric import Drawn, Rewards, Rubric, all_gather_rewards
from unichar.grpo.text_rl import TextRlTrainer
from unichar.grpo.validation import Validation
from unichar.judges.configured import ConfiguredJudges
from unichar.judges.encoders import load_encoder, reward_encoder
from unichar.judges.naturalness import Naturalness
from unichar.judges.scorers import Scorers
from unichar.kit.images import load_picture
from unichar.model.load import base_digest, load_model
from unichar.model.lora import save_adapters, trainable
from unichar.model.protocol import PromptContext, UnifiedModel
from unichar.training.curves import read_curve
from unichar.training.loop import run_loop
from unichar.training.meter import Meter
from unichar.training.microbatches import all_gather_rows, shares
from unichar.training.ranks import is_main, join, sum_gradients, total, wait_for_all, world_size
from unichar.training.schedule import set_factor, trapezoid
from unichar.training.seeds import derive, torch_rng
from unichar.training.state import TrainState, run_key
from unichar.training.tracker import Tracker
from unichar.types import CuratedKit, Prompt, StageJob, read_interactions

_WARMUP = 0.08
"""Share of the optimizer steps over which the learning rate rises: AdamW knows little of the gradients' size at first."""

ALGORITHMS: dict[str, type[Nft] | type[FlowGrpo]] = {"nft": Nft, "flow_grpo": FlowGrpo}


def run(job: StageJob) -> dict[str, float]:
    """Reinforce the adapters of the SFT stage; writes `adapters/`, `curve.jsonl` and what the tracker leaves. Resumes from
    `job.scratch` after a kill.

    Returns:
        Rewards of the first and last quarter of the rounds on practice prompts, of the SFT model and the last on watched ones;
        which round's adapters were kept, and counts; nothing in processes that only help.
    """
    join()
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
        report=trainer.report,
    )
    if config.text.rounds:
        _reinforce_words(model, job, voice, base_sha256)
    seconds = time.monotonic() - began
    with trainer.watch.best.swapped() if config.validation.keep == "best" else nullcontext():
        save_adapters(model, job.out / "adapters", base_sha256=base_sha256)
    summary = _keep(trainer, job) | {"training_seconds": round(seconds, 1)} if is_main() else {}
    wait_for_all()
    return summary


def _reinforce_words(model: UnifiedModel, job: StageJob, voice: list[Tensor], base_sha256: str) -> None:
    """The rounds of `words.py`, with a state and a curve of their own in `words/`. Every process does the same work."""
    for parameter in voice:
        parameter.requires_grad_(True)
    trainer = TextRlTrainer(model, job, voice)
    state, seconds = trainer.state(base_sha256), job.config.save_seconds
    run_loop(
        "grpo words",
        trainer.round,
        total=job.config.text.rounds,
        state=state,
        save_seconds=seconds,
        log_every=1,
    )


class Trainer:
    """Holds what every round needs; `round` is the whole algorithm."""

    def __init__(self, model: UnifiedModel, job: StageJob) -> None:
        self.model, self.job = model, job
        kit = CuratedKit.read(job.inputs["curated_kit"])
        self.domain = domain_of(kit)
        self.config: GrpoConfig = job.config.for_domain(self.domain)
        live = trainable(model.gen)
        self.parameters = list(live.values())
        self.reference = Snapshot(live)
        self.algorithm = ALGORITHMS[self.config.algorithm](
            model, self.config, live=live, reference=self.reference, seed=job.seed
        )
        self.practice, watched = self._prompts(kit)
        self.rubric, evaluator = self._rubrics(kit)
        self.watch = Validation(
            model,
            watched,
            rubric=self.rubric,
            evaluator=evaluator,
            live=live,
            config=self.config,
            seed=job.seed,
        )
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=self.config.lr, betas=(0.9, 0.99), weight_decay=0.0
        )
        self.meter = Meter()
        self.tracker = Tracker(self.config.tracker, job.scratch, run="grpo")

    def _prompts(self, kit: CuratedKit) -> tuple[list[Prompt], list[Prompt]]:
        """(to learn from, to watch)"""
        config, seed = self.config, self.job.seed
        train, test = (
            read_interactions(self.job.inputs["interactions"] / f"{split}.jsonl")
            for split in ("train", "test")
        )
        multimodal_turns = training_turns(kit, train, test) if config.reward.consistency_weight else []
        watched = with_turns(
            validation_prompts(kit, train, test, count=config.validation.prompts, seed=seed),
            multimodal_turns[::5],
        )
        count = config.rounds * config.rollout.prompts
        practised = training_prompts(kit, train, test, validation=watched, count=count, seed=seed)
        return with_turns(practised, cycle(apart(multimodal_turns, watched, self.domain))), watched

    def _rubrics(self, kit: CuratedKit) -> tuple[Rubric, Rubric]:
        """(the reward's, the independent evaluator's). They differ in the network that looks."""
        model, folder = self.model, self.job.inputs["curated_kit"]
        names = [picture.image for picture in kit.split("train")]
        real = model.encode_images([load_picture(folder / name, model.image_size) for name in names])
        nothing, config = model.prompt_context([""]), self.config
        together = min(config.rollout.prompts, config.rollout.step_prompts) * config.rollout.group
        at_once = math.ceil(
            together / (config.rollout.microbatches * world_size())
        )  # as many as learn together

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            with (
                model.base_pictures()
                if self.domain.naturalness_denoiser == "base"
                else self.reference.swapped()
            ):
                parts = zip(x.split(at_once), t.split(at_once), strict=True)
                return torch.cat([model.velocity(some, times, nothing) for some, times in parts])

        naturalness = Naturalness(denoise, real)
        chosen = ConfiguredJudges(
            self.config.reward.judges, kit, folder, questions=self.job.scratch / "questions.json"
        )
        own = chosen.eye or reward_encoder(self.domain, self.job.base, tower=model)
        other = load_encoder(self.domain.validation_encoder, self.job.base)
        reward = Scorers(own, kit, folder, size=model.image_size, soft=True, texts=chosen.texts)
        evaluator = Scorers(other, kit, folder, size=model.image_size, soft=True)
        return Rubric(reward, naturalness, config.reward), Rubric(evaluator, naturalness, config.reward)

    def state(self, base_sha256: str) -> TrainState:
        """What a resumed run starts from; refuses another configuration, seed or base."""
        key = run_key(config=dataclasses.asdict(self.config), seed=self.job.seed, base_sha256=base_sha256)
        modules = {
            "gen": self.model.gen,
            "best": self.watch.best,
            "progress": self.watch.progress,
            **self.algorithm.modules,
        }
        return TrainState(self.job.scratch / "state.safetensors", modules, {"adamw": self.optimizer}, key=key)

    def report(self, index: int, means: dict[str, float]) -> dict[str, float]:
        """A line of the curve with speed and memory, which also goes to the tracker."""
        row = means | self.meter.read(
            pictures=(index + 1) * self.config.rollout.prompts * self.config.rollout.group
        )
        self.tracker.log(index, row)
        return row

    def round(self, index: int) -> dict[str, float]:
        """Practise; and look, before the first round and after some."""
        numbers = self.watch.look(0) if index == 0 else {}
        numbers |= self.rl_step(index)
        if (index + 1) % self.config.validation.every == 0 or index + 1 == self.config.rounds:
            numbers |= self.watch.look(index + 1)
        return numbers

    def rl_step(self, index: int) -> dict[str, float]:
        """Sample, judge, learn."""
        prompts = self.practice[
            index * self.config.rollout.prompts : (index + 1) * self.config.rollout.prompts
        ]
        with self.algorithm.policy():
            kept = self.rollout(prompts, index)
        return self._learn(prompts, kept, self._judge(prompts, kept["x0"]), index)

    def rollout(self, prompts: Sequence[Prompt], index: int) -> dict[str, Tensor]:
        """What the algorithm keeps of the pictures of the round, `x0` and more, [B, ...] each, whoever has drawn them.

        A picture depends on the seed, the round, its prompt and its number alone.
        """
        some = self.config.rollout.step_prompts
        found = [
            self._draw(prompts[first : first + some], index, first) for first in range(0, len(prompts), some)
        ]
        return {name: torch.cat([kept[name] for kept in found]) for name in found[0]}

    def _draw(self, prompts: Sequence[Prompt], index: int, first: int) -> dict[str, Tensor]:
        """Those of as many prompts as learn together, of which the first is number `first` of the round."""
        each = [(p, g) for p in range(len(prompts)) for g in range(self.config.rollout.group)]
        rows, found = [], []
        for part in shares(len(each), self.config.rollout.microbatches, even=True):
            if not part:
                continue
            places = [each[row.place] for row in part]
            context = _context(self.model, [prompts[p].text for p, _ in places])
            seeds = [derive(self.job.seed, "rollout", index, prompts[p].text, g) for p, g in places]
            numbers = [index * self.config.rollout.prompts + first + p for p, _ in places]
            rows += part
            found.append(self.algorithm.sample(context, seeds, numbers))
        return {
            name: all_gather_rows(rows, torch.cat([some[name] for some in found]), len(each))
            for name in found[0]
        }

    def _judge(self, prompts: Sequence[Prompt], latents: Tensor) -> Rewards:
        """Rewards of all pictures; a prompt's are judged together, since diversity compares them."""
        groups = latents.unflatten(0, (len(prompts), -1))
        rows, found = [], []
        for part in shares(
            len(prompts), self.config.rollout.microbatches * self.config.rollout.minibatches, even=True
        ):
            if not part:
                continue
            own = torch.cat([groups[row.place] for row in part])
            drawn = Drawn(latents=own, pixels=self.model.decode_latents(own))
            rows += part
            found.append(self.rubric.score(drawn, [prompts[row.place] for row in part]))
        return all_gather_rewards(rows, found, len(prompts))

    def _learn(
        self, prompts: Sequence[Prompt], kept: dict[str, Tensor], rewards: Rewards, index: int
    ) -> dict[str, float]:
        """The round's optimizer steps, on the prompts that have something to teach."""
        config, progress = self.config, self.watch.progress
        use = groups_with_variance(rewards.total, min_spread=config.reward.min_spread)
        advantages = self.algorithm.advantages(rewards.total[use]).flatten() if use.any() else torch.zeros(0)
        rows = torch.arange(rewards.total.numel()).view(rewards.total.shape)[use].flatten()
        progress.skipped += int((~use).sum())
        numbers: dict[str, float] = {}
        for step, places in self._order(int(use.sum()), index):
            minibatch = Minibatch(kept=kept, rows=rows[places], advantages=advantages[places])
            texts = [prompts[row // config.rollout.group].text for row in minibatch.rows.tolist()]
            numbers = self._step(minibatch, texts, step)
            progress.steps += 1
        self.algorithm.finish_round(int(progress.steps))
        return (
            numbers
            | _distribution(rewards, advantages, config.reward.advantage_clip)
            | {"skipped_groups": float((~use).sum())}
        )

    def _order(self, count: int, index: int) -> Iterator[tuple[int, Tensor]]:
        """(optimizer step of the run, places of its pictures) for a round of which `count` prompts teach: every pass takes each
        once, some at a time, in an order of its own."""
        config = self.config
        places = torch.arange(count * config.rollout.group).view(count, config.rollout.group)
        for epoch in range(index * config.epochs, (index + 1) * config.epochs):
            order = torch.randperm(count, generator=torch_rng(self.job.seed, "grpo-order", epoch))
            for number, some in enumerate(order.split(config.rollout.step_prompts) if count else ()):
                yield epoch * config.rollout.minibatches + number, places[some.sort().values].flatten()

    def _step(self, minibatch: Minibatch, texts: Sequence[str], index: int) -> dict[str, float]:
        """One optimizer step over the pictures of a lesson, with their prompts; this process learns from its share."""
        sums = dict.fromkeys(self.algorithm.numbers, 0.0)
        for part in shares(len(texts), self.config.rollout.microbatches, even=False):
            if not part:
                continue
            places = torch.tensor([row.place for row in part])
            context = _context(self.model, [texts[row.place] for row in part])
            for name, value in self.algorithm.learn(
                minibatch, places, context, index, Tensor.backward
            ).items():
                sums[name] += value
        sum_gradients(self.parameters)
        total_steps = self.config.rounds * self.config.epochs * self.config.rollout.minibatches
        set_factor(self.optimizer, trapezoid(index, total_steps, warmup=_WARMUP, decay=self.config.lr_decay))
        gradient = nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return dict(zip(sums, total(list(sums.values())), strict=True)) | {"gradient": float(gradient)}


def _context(model: UnifiedModel, texts: Sequence[str]) -> PromptContext:
    """The context of pictures with these prompts, those of a prompt together: as few rows as serve equally many each."""
    runs = [(text, len(list(same))) for text, same in groupby(texts)]
    each = math.gcd(*(count for _, count in runs))
    return model.prompt_context([text for text, count in runs for _ in range(count // each)])


def _keep(trainer: Trainer, job: StageJob) -> dict[str, float]:
    shutil.copyfile(job.scratch / "curve.jsonl", job.out / "curve.jsonl")
    if job.config.text.rounds:
        shutil.copyfile(job.scratch / "words" / "curve.jsonl", job.out / "curve_words.jsonl")
    trainer.tracker.keep(job.out)
    return _summary(read_curve(job.out / "curve.jsonl"), trainer)


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
        "kept_round": progress.best_round.item() if config.validation.keep == "best" else len(rows),
        "stopped_early": int(progress.stopped),
        "rounds": len(rows),
        "optimizer_steps": int(progress.steps),
        "skipped_groups": int(progress.skipped),
        "pictures": len(rows) * config.rollout.prompts * config.rollout.group,
    }
