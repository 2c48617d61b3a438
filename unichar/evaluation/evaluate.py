"""Stage 6: base, SFT and GRPO on the same held-out prompts, seeds and questions.

    python -m unichar evaluate --character mochi --preset cpu

Writes report.json, report.html and contact_sheet.png, and questions.json where a judge model is asked about pictures. Pictures
are judged by networks that training never used; text by likelihoods, by a classifier over the cast and, where there is one, by
a judge model. The paper's code publishes no evaluation at all.
"""

import json
import resource
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from unichar.domains.lookup import domain_of
from unichar.evaluation.config import EvaluationConfig
from unichar.evaluation.content import ChatSample, ReportInput, RolePlaySample, ThinkThenDraw
from unichar.evaluation.metrics import HEADLINE_ARMS
from unichar.evaluation.pictures import (
    Drawn,
    ReportScorers,
    draw,
    finite_or_raise,
    measure_oracle,
    measure_pictures,
    oracle_images,
    spread,
)
from unichar.evaluation.report import write_report
from unichar.evaluation.sheets import SheetRow, contact_sheet
from unichar.evaluation.statistics import Estimate
from unichar.evaluation.texts import TextResults, measure_text, style_of
from unichar.judges.configured import ConfiguredJudges
from unichar.judges.prompts import multimodal_turns, plain_prompts, report_prompts, turn_prompt
from unichar.judges.style import Style
from unichar.kit.schema import read_kit
from unichar.model.character import Character, GenerationConfig
from unichar.model.load import base_digest, load_model
from unichar.model.pixels import to_images
from unichar.model.protocol import UnifiedModel
from unichar.store.files import sha256_file
from unichar.training.curves import read_curve
from unichar.types import CuratedKit, Interaction, Prompt, StageJob, read_interactions

ARMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "base": ("", ()),
    "text_only": ("sft_checkpoint", ("und",)),
    "image_only": ("sft_checkpoint", ("gen",)),
    "sft": ("sft_checkpoint", ("und", "gen")),
    "grpo": ("grpo_checkpoint", ("und", "gen")),
}
"""Arm -> the checkpoint its adapters come from, and the sides that wear them.

The two sides share no trained number and read each other frozen, so training one alone gives the very adapters that training both
together gives: the one-sided arms need no run of their own.
"""
SHEET_PICTURES = 3
"""Pictures a prompt and arm on the contact sheet, so that one sees whether they differ."""


def run(job: StageJob) -> dict[str, float]:
    """Measure every arm and write the report.

    Returns:
        `<arm>_<metric>` values, for Dagster to show.
    """
    evaluation = Evaluation(job)
    results = {arm: evaluation.arm(arm) for arm in ARMS}
    report = evaluation.report(results)
    write_report(report, job.out)
    return {
        f"{arm}_{name}": value.value
        for arm, metrics in report.arms.items()
        for name, value in metrics.items()
    }


class ArmResult:
    """What one arm said and drew."""

    def __init__(
        self, words: TextResults, drawn: Drawn, metrics: dict[str, Estimate], chains: dict[str, ThinkThenDraw]
    ) -> None:
        self.words, self.drawn, self.metrics, self.chains = words, drawn, metrics, chains


class Evaluation:
    """The held-out material of one character, and the arms to try on it."""

    def __init__(self, job: StageJob) -> None:
        self.job = job
        self.config: EvaluationConfig = job.config
        self.folder = job.inputs["curated_kit"]
        self.kit = CuratedKit.read(self.folder)
        self.test = read_interactions(job.inputs["interactions"] / "test.jsonl")
        self.prompts = spread(report_prompts(self.test, domain_of(self.kit)), self.config.prompts)
        self.style = self._style()
        self.chosen = ConfiguredJudges(
            self.config.judges, self.kit, self.folder, questions=job.out / "questions.json"
        )
        self._words: dict[str, TextResults] = {}
        self._drawn: dict[str, Drawn] = {}
        self.truth: dict[str, dict[str, Estimate]] = {}

    def arm(self, arm: str) -> ArmResult:
        """Load an arm and measure it."""
        noun, sides = ARMS[arm]
        adapters = self.job.inputs[noun] / "adapters" if noun else None
        model = load_model(self.job.base, adapters, sides=sides)
        report_scorers = ReportScorers(
            self.kit, self.folder, self.job.base, size=model.image_size, chosen=self.chosen
        )
        weights = (
            {side: sha256_file(adapters / side / "adapter_model.safetensors") for side in sides}
            if adapters
            else {}
        )
        print(f"evaluate {arm}: pictures", flush=True)
        drawn = self._drawn_of(model, report_scorers, arm, weights.get("gen", ""))
        if domain_of(self.kit).renders and not self.truth:
            seen = measure_oracle(
                report_scorers,
                self.kit,
                self.folder,
                self.prompts,
                config=self.config,
                size=model.image_size,
                seed=self.job.seed,
            )
            self.truth = {"truth": seen}
        print(f"evaluate {arm}: words", flush=True)
        manner = GenerationConfig(
            steps=self.config.sample_steps,
            guidance=self.config.guidance,
            shift=self.config.shift,
            temperature=self.config.temperature,
            max_reply_tokens=self.config.max_reply_tokens,
            max_plan_tokens=self.config.max_plan_tokens,
        )
        actor = Character(model, self.kit, manner)
        words = self._words_of(actor, weights.get("und", ""))
        chains, metrics = self._role_plays(actor, report_scorers, words, arm)
        return ArmResult(words, drawn, words.metrics | drawn.metrics | metrics, chains)

    def _drawn_of(self, model: UnifiedModel, report_scorers: ReportScorers, arm: str, weights: str) -> Drawn:
        """Pictures of the test prompts; arms that share their picture adapters are measured once."""
        if weights not in self._drawn:
            self._drawn[weights] = measure_pictures(
                model, report_scorers, self.prompts, config=self.config, seed=self.job.seed, arm=arm
            )
        return self._drawn[weights]

    def _words_of(self, actor: Character, weights: str) -> TextResults:
        """Text measures; arms that share their text adapters are measured once."""
        if weights not in self._words:
            self._words[weights] = measure_text(
                actor,
                self.test,
                self.folder,
                style=self.style,
                llm_judge=self.chosen.llm_judge,
                config=self.config,
            )
        return self._words[weights]

    def _role_plays(
        self, actor: Character, report_scorers: ReportScorers, words: TextResults, arm: str
    ) -> tuple[dict[str, ThinkThenDraw], dict[str, Estimate]]:
        """Pictures for the arm's own replies and plans, and their metrics."""
        items = {item.segments[1].value: item for item in multimodal_turns(self.test)}
        users = list(words.chains)
        texts = [
            actor.moment(user, chain.reply, chain.thinking, chain.instruction)
            for user, chain in words.chains.items()
        ]
        pixels = draw(actor.model, texts, config=self.config, count=1, seed=self.job.seed)
        finite_or_raise(pixels, arm)
        chains = {
            user: words.chains[user]._replace(picture=image)
            for user, image in zip(users, to_images(pixels), strict=True)
        }
        wanted = [turn_prompt(self.kit, items[user]) for user in users]
        return chains, report_scorers.measure(pixels, wanted, prefix="role_play_")

    def _style(self) -> Style | None:
        """The classifier over this character's training words and the words of the starter characters and of all kits beside its own."""
        own = [picture.reply for picture in self.kit.split("train")] + [
            exchange.reply for exchange in self.kit.dialogues
        ]
        own_folder = self.job.inputs["raw_kit"].parent
        starters = self.job.inputs.get("starters", own_folder)
        cast = dict(cast_replies(starters)) | dict(cast_replies(own_folder))
        return style_of(cast | {self.job.character: own}, self.job.character)

    def report(self, results: dict[str, ArmResult]) -> ReportInput:
        """Everything the report shows."""
        job = self.job
        first = next(iter(results.values()))
        references = {item.prompt: item.target.value for item in self.test if item.kind == "role_play"}
        return ReportInput(
            character=job.character,
            name=self.kit.name,
            description=self.kit.description,
            preset=job.preset,
            base_name=job.base.stem,
            base_sha256=base_digest(job.base),
            arms={arm: result.metrics for arm, result in results.items()} | self.truth,
            cost=self._cost(),
            data=self._data(),
            chats=[
                ChatSample(
                    user=user,
                    replies={a: results[a].words.chats[user] for a in HEADLINE_ARMS},
                    reference=references[user],
                )
                for user in first.words.chats
            ],
            role_plays=[
                RolePlaySample(user=user, arms={arm: results[arm].chains[user] for arm in HEADLINE_ARMS})
                for user in first.chains
            ],
            sheet=self._sheet(results),
            references=[Image.open(self.folder / picture.image) for picture in self.kit.split("train")],
            curves={
                stage: read_curve(job.inputs[f"{stage}_checkpoint"] / "curve.jsonl")
                for stage in ("sft", "grpo")
            },
            notes=remarks({arm: result.metrics for arm, result in results.items()}) + self.chosen.notes(),
        )

    def _sheet(self, results: dict[str, ArmResult]) -> Image.Image:
        """Truth, then every arm, on the same prompts and noise; moments of conversation are left out."""
        captions = plain_prompts(self.test)
        rows = []
        for prompt in spread([p for p in self.prompts if p.is_open or p in captions], self.config.sheet_rows):
            index = self.prompts.index(prompt)
            arms = tuple(tuple(results[arm].drawn.pictures[index][:SHEET_PICTURES]) for arm in HEADLINE_ARMS)
            rows.append(SheetRow(caption=prompt.text, pictures=(self._truth(prompt), *arms)))
        return contact_sheet(
            rows, ["truth", *(arm if arm == "base" else arm.upper() for arm in HEADLINE_ARMS)]
        )

    def _truth(self, prompt: Prompt) -> tuple[Image.Image, ...]:
        """What a right answer looks like; several where the prompt allows for several, none where nobody has one."""
        count = SHEET_PICTURES if prompt.is_open else 1
        return tuple(oracle_images(self.kit, self.folder, prompt, count=count, seed=self.job.seed))

    def _cost(self) -> dict[str, object]:
        summaries = {noun: _summary(folder) for noun, folder in self.job.inputs.items() if noun != "raw_kit"}
        trained = [summaries[noun] for noun in ("sft_checkpoint", "grpo_checkpoint")]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "seconds": {
                noun: summary["seconds"] for noun, summary in summaries.items() if "seconds" in summary
            },
            "tokens": trained[0].get("target_tokens"),
            "images": sum(int(s.get("noised_pictures", s.get("pictures", 0))) for s in trained),
            "flops": sum(s.get("flops", 0.0) for s in trained) or None,
            "peak_rss_mb": max([round(peak, 1), *(s.get("peak_rss_mb", 0.0) for s in trained)]),
        }

    def _data(self) -> dict[str, object]:
        train = read_interactions(self.job.inputs["interactions"] / "train.jsonl")
        return {
            "images": len(self.kit.split("train")),
            "interactions": _count(train),
            "held_out": {"images": len(self.kit.split("test")), **_count(self.test)},
        }


def cast_replies(characters: Path) -> list[tuple[str, list[str]]]:
    """(id, its own words) of every kit in a folder: replies of scenes and dialogues; held-out scenes are left out.

    Lines that cannot be read are left out: a neighbour's unfinished kit must not stop this character's report.
    """
    cast = []
    if not characters.is_dir():
        return []
    folders = [path for path in characters.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for folder in sorted(folders):
        kit, _ = read_kit(folder)
        said = [scene.reply for scene in kit.scenes.values() if not scene.held_out]
        said += [dialogue.reply for dialogue in kit.dialogues.values()]
        words = [reply for reply in said if reply]
        if words:
            cast.append((folder.name, words))
    return cast


def remarks(arms: dict[str, dict[str, Estimate]]) -> list[str]:
    """Plain sentences on what an honest reader should know first."""
    notes = []
    for name in ("identity", "alignment", "diversity"):
        sft, grpo = arms["sft"][name], arms["grpo"][name]
        if grpo.low <= sft.value <= grpo.high:
            notes.append(
                f"GRPO's {name} ({grpo.value:.2f}) can not be told from SFT's ({sft.value:.2f}) on these held-out prompts."
            )
        else:
            verb = "raised" if grpo.value > sft.value else "lowered"
            notes.append(f"GRPO {verb} {name} from {sft.value:.2f} to {grpo.value:.2f} on held-out prompts.")
    return notes


def _summary(folder: Path) -> dict[str, float]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def _count(items: Sequence[Interaction]) -> dict[str, int]:
    kinds = sorted({item.kind for item in items})
    return {kind: sum(item.kind == kind for item in items) for kind in kinds}
