"""Stage 6: base, SFT and GRPO on the same held-out prompts, noise and questions.

    python -m unichar evaluate --character mochi --preset cpu

Writes report.json, report.html and contact_sheet.png, and questions.json where a judge model is asked about
pictures. Pictures are judged by networks that training never used; texts by likelihoods, by a classifier over
the cast and, where one is configured, by a judge model. The paper's code publishes no evaluation at all.
"""

import json
import logging
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from unichar.domains.lookup import domain_of
from unichar.evaluation.cast import cast_replies, style_classifier
from unichar.evaluation.config import EvaluationConfig
from unichar.evaluation.content import (
    ChatSample,
    PictureSample,
    ReportInput,
    RolePlaySample,
    ThinkThenDraw,
)
from unichar.evaluation.metrics import HEADLINE_ARMS, remarks
from unichar.evaluation.pictures import (
    PictureResults,
    ReportScorers,
    check_finite,
    measure_oracle,
    measure_pictures,
    oracle_images,
    sample_pixels,
)
from unichar.evaluation.report import write_report
from unichar.evaluation.statistics import Estimate, evenly_spaced
from unichar.evaluation.texts import TextResults, measure_text
from unichar.judges.configured import ConfiguredJudges
from unichar.judges.prompts import multimodal_turns, plain_prompts, report_prompts, turn_prompt
from unichar.model.character import Character, GenerationConfig
from unichar.model.load import base_digest, load_model
from unichar.model.pixels import to_images
from unichar.model.protocol import UnifiedModel
from unichar.store.files import HashMemory
from unichar.training.curves import read_curve
from unichar.types import CuratedKit, Interaction, StageJob, read_interactions

SHEET_PICTURES = 3
"""Pictures a prompt and arm on the contact sheet: enough to see whether they differ."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """What one arm wrote and drew, and all of its metrics."""

    texts: TextResults
    pictures: PictureResults
    role_plays: dict[str, ThinkThenDraw]
    """User text -> reply, reasoning and picture."""
    metrics: dict[str, Estimate]


def run(job: StageJob) -> dict[str, float]:
    """Measure every arm and write the report.

    Returns:
        `<arm>_<metric>` values, for Dagster to show.
    """
    evaluation = Evaluation(job)
    # One arm after the other, so that only one model is in memory at a time.
    results = {arm: evaluation.arm(arm) for arm in evaluation.config.arms}

    report = evaluation.report(results)
    write_report(report, job.out)

    # Dagster shows flat numbers, so arm and metric become one name.
    summary = {}
    for arm, metrics in report.arms.items():
        for name, estimate in metrics.items():
            summary[f"{arm}_{name}"] = estimate.value
    return summary


class Evaluation:
    """The held-out material of one character, and the arms to measure on it."""

    def __init__(self, job: StageJob) -> None:
        self.job = job
        self.config: EvaluationConfig = job.config
        self.hashes = HashMemory(job.checksums)
        self.folder = job.inputs["curated_kit"]
        self.kit = CuratedKit.read(self.folder)

        # Prompts are spread over the whole test set, which is ordered by kind and topic.
        self.test = read_interactions(job.inputs["interactions"] / "test.jsonl")
        self.prompts = evenly_spaced(report_prompts(self.test, domain_of(self.kit)), self.config.prompts)

        # The cast: the starter characters, then the kits beside this one, which win where both have an id.
        siblings = job.inputs["raw_kit"].parent
        cast = cast_replies(job.inputs.get("starters", siblings)) | cast_replies(siblings)
        self.style = style_classifier(self.kit, cast)
        self.judges = ConfiguredJudges(
            self.config.judges, self.kit, self.folder, questions=job.out / "questions.json"
        )

        # Arms with the same adapter are measured once: sha256 of the adapter -> results.
        self._texts: dict[str, TextResults] = {}
        self._pictures: dict[str, PictureResults] = {}
        self.oracle: dict[str, Estimate] = {}
        """Metrics of faultless pictures; empty before the first arm, and for domains that do not render."""

    def arm(self, arm: str) -> ArmResult:
        """Load one arm and measure it.

        Raises:
            ValueError: Its adapters belong to another base.
            UserError: Its weights diverged.
        """
        # The base has no adapters and no components.
        noun, components = self.config.arms[arm]
        adapters = self.job.inputs[noun] / "adapters" if noun else None
        model = load_model(
            self.job.base,
            adapters,
            components=components,
            merge=True,
            load=self.job.load,
            hashes=self.hashes,
        )
        scorers = ReportScorers(
            self.kit, self.folder, self.job.base, size=model.image_size, judges=self.judges
        )

        # Whose prompts are read with text adapters (BAGEL) draws differently with others.
        _LOG.info("evaluate %s: pictures", arm)
        drawing = self._adapter_sha256(adapters, components, "gen")
        if model.pictures_follow_text:
            drawing += self._adapter_sha256(adapters, components, "und")
        pictures = self._measure_pictures(model, scorers, arm, drawing)
        if domain_of(self.kit).renders and not self.oracle:
            self.oracle = self._measure_oracle(scorers, model.image_size)

        _LOG.info("evaluate %s: texts", arm)
        character = Character(model, self.kit, self._generation())
        texts = self._measure_texts(character, self._adapter_sha256(adapters, components, "und"))

        # Text and picture adapters act together here, so no other arm has the same results.
        _LOG.info("evaluate %s: role play", arm)
        role_plays, role_play_metrics = self._role_plays(character, scorers, texts, arm)

        metrics = texts.metrics | pictures.metrics | role_play_metrics
        return ArmResult(texts=texts, pictures=pictures, role_plays=role_plays, metrics=metrics)

    def report(self, results: dict[str, ArmResult]) -> ReportInput:
        """Everything the report shows."""
        # The oracle is not an arm that was run, but its numbers stand beside those of the arms.
        metrics = {arm: result.metrics for arm, result in results.items()}
        oracle = {"oracle": self.oracle} if self.oracle else {}
        curves = {stage: self.job.inputs[f"{stage}_checkpoint"] / "curve.jsonl" for stage in ("sft", "grpo")}

        return ReportInput(
            character=self.job.character,
            name=self.kit.name,
            description=self.kit.description,
            preset=self.job.preset,
            base_name=self.job.base.stem,
            base_sha256=base_digest(self.job.base, self.hashes),
            arms=metrics | oracle,
            cost=_cost(self.job.inputs),
            data=self._data(),
            pictures=self._picture_samples(results),
            chats=self._chat_samples(results),
            role_plays=_role_play_samples(results),
            references=[Image.open(self.folder / picture.image) for picture in self.kit.split("train")],
            curves={stage: read_curve(path) for stage, path in curves.items()},
            notes=remarks(metrics) + self.judges.notes(),
        )

    def _generation(self) -> GenerationConfig:
        return GenerationConfig(
            steps=self.config.sample_steps,
            guidance=self.config.guidance,
            shift=self.config.shift,
            temperature=self.config.temperature,
            max_reply_tokens=self.config.max_reply_tokens,
            max_reasoning_tokens=self.config.max_reasoning_tokens,
        )

    def _measure_pictures(
        self, model: UnifiedModel, scorers: ReportScorers, arm: str, adapter: str
    ) -> PictureResults:
        """Pictures of one adapter (or pair of them) and their metrics, measured once."""

        # `text_only` draws as the base does where text adapters do not reach pictures.
        if adapter not in self._pictures:
            self._pictures[adapter] = measure_pictures(
                model, scorers, self.prompts, config=self.config, seed=self.job.seed, arm=arm
            )

        return self._pictures[adapter]

    def _measure_oracle(self, scorers: ReportScorers, size: int) -> dict[str, Estimate]:
        """Metrics of faultless pictures, which stand beside those of every arm."""

        # Rendered at the arms' size, so that the encoder gets no more detail than it gets of them.
        return measure_oracle(
            scorers,
            self.kit,
            self.folder,
            self.prompts,
            config=self.config,
            size=size,
            seed=self.job.seed,
        )

    def _measure_texts(self, character: Character, adapter: str) -> TextResults:
        """Text metrics of one adapter, measured once."""

        # `grpo` writes as `sft` does, since GRPO trains pictures only; `image_only` writes as the base does.
        if adapter not in self._texts:
            self._texts[adapter] = measure_text(
                character,
                self.test,
                self.folder,
                style=self.style,
                llm_judge=self.judges.llm_judge,
                config=self.config,
            )

        return self._texts[adapter]

    def _role_plays(
        self, character: Character, scorers: ReportScorers, texts: TextResults, arm: str
    ) -> tuple[dict[str, ThinkThenDraw], dict[str, Estimate]]:
        """Pictures for the arm's own replies and instructions, and their metrics."""
        prompts = []
        for user, turn in texts.role_plays.items():
            prompts.append(character.scene_prompt(user, turn.reply, turn.thinking, turn.instruction))

        # One picture a turn: every turn has a prompt of its own.
        pixels = sample_pixels(character.model, prompts, config=self.config, count=1, seed=self.job.seed)
        check_finite(pixels, arm)

        role_plays = {}
        for (user, turn), image in zip(texts.role_plays.items(), to_images(pixels), strict=True):
            role_plays[user] = turn._replace(picture=image)

        # Judged by what the held-out turn asks for, not by what the arm told itself to draw.
        items = {item.segments[1].value: item for item in multimodal_turns(self.test)}
        targets = [turn_prompt(self.kit, items[user]) for user in texts.role_plays]
        return role_plays, scorers.measure(pixels, targets, prefix="role_play_")

    def _picture_samples(self, results: Mapping[str, ArmResult]) -> list[PictureSample]:
        """The oracle, then the main arms, on some of the prompts; prompts of conversations are left out."""
        captions = plain_prompts(self.test)
        shown = [prompt for prompt in self.prompts if prompt.is_open or prompt in captions]

        samples = []
        # The oracle comes first: it shows what the prompt asks for.
        for prompt in evenly_spaced(shown, self.config.sheet_rows):
            # A complete caption has one right answer; what leaves something open has many.
            count = SHEET_PICTURES if prompt.is_open else 1
            arms = {"oracle": oracle_images(self.kit, self.folder, prompt, count=count, seed=self.job.seed)}
            index = self.prompts.index(prompt)
            for arm in HEADLINE_ARMS:
                arms[arm] = results[arm].pictures.pictures[index][:SHEET_PICTURES]
            samples.append(PictureSample(prompt=prompt.text, arms=arms))
        return samples

    def _chat_samples(self, results: Mapping[str, ArmResult]) -> list[ChatSample]:
        references = {item.prompt: item.target.value for item in self.test if item.kind == "role_play"}
        # All arms answered the same user texts.
        samples = []
        for user in results["base"].texts.chats:
            replies = {arm: results[arm].texts.chats[user] for arm in HEADLINE_ARMS}
            samples.append(ChatSample(user=user, replies=replies, reference=references[user]))
        return samples

    def _adapter_sha256(self, adapters: Path | None, components: Sequence[str], component: str) -> str:
        """Of one component's adapter; empty where the arm leaves the component as it is in the base."""
        if adapters is None or component not in components:
            return ""
        return self.hashes.sha256(adapters / component / "adapter_model.safetensors")

    def _data(self) -> dict[str, object]:
        """How much the character was trained and tested on, as in report.json."""
        train = read_interactions(self.job.inputs["interactions"] / "train.jsonl")
        return {
            "images": len(self.kit.split("train")),
            "interactions": _count_by_kind(train),
            "held_out": {"images": len(self.kit.split("test")), **_count_by_kind(self.test)},
        }


def _role_play_samples(results: Mapping[str, ArmResult]) -> list[RolePlaySample]:
    samples = []
    for user in results["base"].role_plays:
        arms = {arm: results[arm].role_plays[user] for arm in HEADLINE_ARMS}
        samples.append(RolePlaySample(user=user, arms=arms))
    return samples


def _cost(inputs: Mapping[str, Path]) -> dict[str, object]:
    """What the stages so far have cost, from their summaries, as in report.json."""
    summaries: dict[str, dict[str, Any]] = {}
    for noun, folder in inputs.items():
        # Kits are inputs too, but no stage has made them.
        if noun not in ("raw_kit", "starters"):
            summaries[noun] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))

    sft, grpo = summaries["sft_checkpoint"], summaries["grpo_checkpoint"]

    # ru_maxrss is in kilobytes on Linux. The peak is the greatest of this process and of those that trained.
    own_peak_mb = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return {
        "seconds": {noun: found["seconds"] for noun, found in summaries.items() if "seconds" in found},
        # SFT counts the pictures that it noised, GRPO those that it sampled.
        "tokens": sft.get("target_tokens"),
        "images": sum(int(found.get("noised_pictures", found.get("pictures", 0))) for found in (sft, grpo)),
        "flops": sft.get("flops", 0.0) + grpo.get("flops", 0.0) or None,
        "peak_rss_mb": max(own_peak_mb, sft.get("peak_rss_mb", 0.0), grpo.get("peak_rss_mb", 0.0)),
    }


def _count_by_kind(items: Sequence[Interaction]) -> dict[str, int]:
    kinds = sorted({item.kind for item in items})
    return {kind: sum(item.kind == kind for item in items) for kind in kinds}
