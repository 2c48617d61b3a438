"""What every row should be, by the counts of `unichar plan`: computed before anything runs.

Seconds of products follow from their FLOPs, the card's peak and the share of it that the plan assumes; what
only moves bytes follows from the bandwidth of the data sheet. Keys are `section/name of the row`.
"""

from dataclasses import dataclass, replace

from gpu import memory
from gpu.plan import Plan
from gpu.scales import Scale
from unichar.cost.flops import image_forward, text_forward, vision_forward
from unichar.cost.grpo import round_flops
from unichar.cost.sft import step_flops
from unichar.cost.workload import sampling_flops
from unichar.grpo.config import GrpoConfig
from unichar.judges.config import JudgesConfig
from unichar.sft.config import SftConfig

BF16 = 2
"""Bytes of a number."""
VARIANTS = ("copied heads", "copied heads, mask", "enable_gqa", "enable_gqa, mask")
"""Ways to call the attention."""
ADAPTERS = ("no adapters", "adapters in fp32", "adapters", "merged")
"""Ways to have adapters: `adapters` are those of the product."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The prediction of a row."""

    value: float | None = None
    unit: str = "s"
    flops: float | None = None
    """Of a row in seconds, which its share of the peak follows from."""
    peak_gb: float | None = None


class Expectations:
    """All predictions of a run at one scale on one card."""

    def __init__(self, scale: Scale, plan: Plan) -> None:
        self.scale, self.plan, self.sizes = scale, plan, scale.sizes
        self.rows: dict[str, Expected] = {}

        self._ceilings()
        self._attention()
        self._velocities()
        self._pictures()
        self._training()
        self._texts()
        self._small_card()

    def _seconds(self, row: str, flops: float, *, peak_gb: float | None = None) -> None:
        value = flops / (self.plan.peak * self.plan.mfu)
        self.rows[row] = Expected(value=value, flops=flops, peak_gb=peak_gb)

    def _ceilings(self) -> None:
        side = self.scale.matrix
        self.rows[f"ceilings/product of {side} x {side}, bf16"] = Expected(
            value=self.plan.peak / 1e12, unit="TFLOP/s"
        )
        self.rows["ceilings/copy on the device, read and written"] = Expected(
            value=self.plan.bandwidth / 1e9, unit="GB/s"
        )

        weights = sum(self.scale.parameters.values()) * BF16
        self.rows["build/weights"] = Expected(value=weights / 1e9, unit="GB")

    def _attention(self) -> None:
        queries = self.sizes.tokens + self.sizes.markers
        keys = self.scale.texts.prompt + queries
        for pictures in (1, self.scale.batch):
            flops = pictures * self.sizes.gen.attention(queries, keys) / self.sizes.gen.layers
            for name in VARIANTS:
                self._seconds(f"attention/{name}, {number_of(pictures)}, forward", flops)
                # Flash attention computes the scores again: five products instead of two.
                self._seconds(f"attention/{name}, {number_of(pictures)}, forward and backward", 3.5 * flops)

    def _velocities(self) -> None:
        rank = self.scale.preset.sft.gen_rank
        for pictures in (1, self.scale.batch):
            for name in ADAPTERS:
                cost = image_forward(
                    self.sizes,
                    pictures=pictures,
                    prompts=max(1, pictures // 2),
                    context=self.scale.texts.prompt,
                    rank=rank if name.startswith("adapters") else 0,
                )
                self._seconds(f"velocity/{number_of(pictures)}, {name}", cost.forward)

    def _pictures(self) -> None:
        scale, evaluation, rollout = self.scale, self.scale.preset.evaluation, self.scale.preset.grpo.rollout
        self._seconds("pictures/encode a picture", self.sizes.encode)
        self._seconds("pictures/decode a picture", self.sizes.decode)
        self._drawn(1, scale.guided_steps, evaluation.guidance, evaluation.shift)
        for count in (1, scale.batch):
            self._drawn(count, scale.plain_steps, 1.0, rollout.shift)

    def _drawn(self, count: int, steps: int, guidance: float, shift: float) -> None:
        context = self.scale.texts.prompt
        flops = sampling_flops(
            self.sizes,
            pictures=count,
            prompts=0,
            context=context,
            steps=steps,
            guidance=guidance,
            shift=shift,
        )
        # Latents are not decoded within the time that is measured.
        self._seconds(f"pictures/{drawing(count, steps, guidance)}", flops - count * self.sizes.decode)

    def _training(self) -> None:
        scale, preset = self.scale, self.scale.preset
        for count in scale.passes:
            prompts = max(1, count // 4)
            cost = image_forward(
                self.sizes,
                pictures=count,
                prompts=prompts,
                context=scale.texts.prompt,
                rank=preset.sft.gen_rank,
            )
            # Pictures train the text adapters through their prompts.
            cost += text_forward(self.sizes, [scale.texts.prompt] * prompts, rank=preset.sft.und_rank)
            flops = cost.training(full=False, recompute=True)
            peak_gb = memory.pass_gb(scale, count, prompts)
            self._seconds(f"passes/{number_of(count)}", flops, peak_gb=peak_gb)

        self._seconds("sft/step", mean_step(scale, preset.sft), peak_gb=memory.training_gb(scale, preset.sft))
        part = quarter(preset.grpo)
        peak_gb = memory.training_gb(scale, part)
        self._seconds("grpo/a quarter of a round", round_alone(scale, part), peak_gb=peak_gb)

    def _texts(self) -> None:
        scale = self.scale
        read = text_forward(self.sizes, [scale.read_tokens])
        self._seconds(f"texts/read {scale.read_tokens} tokens", read.forward)
        self._seconds("texts/vision tower, a picture", vision_forward(self.sizes, 1).forward)

        # Each token reads all weights of the text expert once, however many replies are written together.
        weights = self.sizes.text.layers * sum(a * b for a, b in self.sizes.text.matrices)
        weights += self.sizes.vocabulary * self.sizes.text.width
        seconds = scale.words * BF16 * weights / self.plan.bandwidth
        for count in (1, scale.replies):
            self.rows[f"texts/write {scale.words} words of {count} replies"] = Expected(value=seconds)

    def _small_card(self) -> None:
        """The quantised model: weights in 4 bits are multiplied in bf16, so FLOPs are those of its size."""
        small = self.scale.for_small_card()
        for pictures in (1, small.batch):
            cost = image_forward(
                small.sizes, pictures=pictures, prompts=1, context=small.texts.prompt, rank=0
            )
            self._seconds(f"nf4/{number_of(pictures)}, no adapters", cost.forward)
        flops = mean_step(small, small.preset.sft)
        self._seconds("nf4/step", flops, peak_gb=memory.training_gb(small, small.preset.sft))


def number_of(pictures: int) -> str:
    """As `1 picture` or `12 pictures`."""
    return f"{pictures} picture{'s' * (pictures != 1)}"


def drawing(count: int, steps: int, guidance: float) -> str:
    """Name of a row."""
    return f"draw {count}, {steps} {'guided' if guidance > 1 else 'plain'} steps"


def short(config: SftConfig) -> SftConfig:
    """The settings without what surrounds the steps: no tracker and no validation, and a pool of prior
    pictures just large enough, drawn in one step."""
    validation = replace(config.validation, every=0, patience=0, keep_best=False)
    return replace(
        config, tracker="", prior_pool=config.prior_pictures, prior_sample_steps=1, validation=validation
    )


def quarter(config: GrpoConfig) -> GrpoConfig:
    """Settings of a quarter of a round, whose microbatches have at most as many pictures as those of a whole
    one."""
    rollout = config.rollout
    group = max(2, rollout.group // 4)
    parts = max(1, rollout.microbatches * group // rollout.group)
    return replace(
        config,
        tracker="",
        rollout=replace(rollout, group=group, microbatches=parts),
        # Judges besides the model's own tower are files that are not there.
        reward=replace(config.reward, judges=JudgesConfig()),
    )


def mean_step(scale: Scale, config: SftConfig) -> float:
    """FLOPs of a mean step of SFT, without what is done once a run."""
    return step_flops(scale.sizes, scale.texts, replace(short(config), prior="rendered"))


def round_alone(scale: Scale, config: GrpoConfig) -> float:
    """FLOPs of a round of GRPO without its part of the validations."""
    never = replace(config, rounds=10**9, validation=replace(config.validation, every=10**9))
    return round_flops(scale.sizes, scale.texts, never, gen_rank=scale.preset.sft.gen_rank)
