"""Named settings of all stages: a run is a preset, a character and a seed. No torch.

    smoke   everything tiny, to test the pipeline (under two minutes on 2 cores); never promoted
    cpu     the default: nano on 2 cores, 10 to 16 minutes a character
    cpu-1, cpu-3, cpu-5   the same with one, three or five of the kit's pictures
    bagel   BAGEL-7B-MoT on GPUs, the paper's settings
    bagel-24gb   the same on one card of 24 GB: frozen weights in 4 bits, pictures of 512 pixels

`python -m unichar customize --character mochi --preset smoke`
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from unichar.errors import UserError
from unichar.evaluation.config import EvaluationConfig
from unichar.grpo.config import GrpoConfig, NftConfig, RewardConfig, RolloutConfig, ValidationConfig
from unichar.interactions.config import InteractionsConfig
from unichar.judges.config import report_judges, reward_judges
from unichar.kit.config import KitConfig
from unichar.release.config import ReleaseConfig
from unichar.sft.config import SftConfig, SftValidationConfig
from unichar.stages import Stage
from unichar.types import LoadConfig

_STEPS, _GUIDANCE, _SHIFT = 49, 4.0, 3.0
"""Sampling of BAGEL's pictures, as published; of reports, and of what is validated for them."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The settings of every stage, resolved."""

    # The name, and the model that is customized.
    name: str
    """The value of `--preset`."""
    model: Literal["nano", "bagel"]
    """The model family: decides the base and the package under `unichar/model/`."""
    load: LoadConfig = field(default_factory=LoadConfig)
    """How its base is loaded, by every stage that loads it."""

    # One group of settings per stage, in the order of the stages.
    kit: KitConfig
    """Of `validate` and `curate`."""
    interactions: InteractionsConfig
    """Of `synthesize`."""
    sft: SftConfig
    grpo: GrpoConfig
    evaluation: EvaluationConfig
    release: ReleaseConfig

    # What happens to a finished model.
    promotes: bool = True
    """Whether a release that passes its gate is promoted, so that `talk` and `merge` use it."""

    def __post_init__(self) -> None:
        # A report by the networks that gave the rewards would measure how well they were fooled.
        shared = self.grpo.reward.judges.shared_with(self.evaluation.judges)
        if shared:
            raise UserError(
                f"the preset {self.name} lets {', '.join(shared)} both give rewards and judge the report; "
                "expected different networks"
            )

        # A checkpoint is selected, and a sheet looked at, for what the report will measure.
        for name, validation in (("sft", self.sft.validation), ("grpo", self.grpo.validation)):
            drawn = (validation.guidance, validation.shift)
            wanted = (self.evaluation.guidance, self.evaluation.shift)
            if drawn != wanted:
                raise UserError(
                    f"the preset {self.name} validates {name} with (guidance, shift) {drawn}, but its report "
                    f"draws with {wanted}; expected {name}.validation to have the same"
                )

        # Pictures are prepared once, for the model as it is loaded.
        if self.load.image_size not in (0, self.kit.size):
            raise UserError(
                f"the preset {self.name} prepares pictures of {self.kit.size} pixels (kit.size) for a model "
                f"of {self.load.image_size} (load.image_size); expected the same"
            )
        if self.model == "nano" and self.load != LoadConfig():
            raise UserError(f"the preset {self.name} sets `load` for nano, which is loaded in one way only")

    def config_of(self, stage: Stage) -> Any:
        """The settings of one stage."""
        return getattr(self, stage.config)


def smoke() -> Preset:
    """Everything tiny: shows that the pipeline works, not that the character is any good. Never promoted."""
    return Preset(
        # Kit and interactions are as in `cpu`: they take seconds, and so every kind of item occurs.
        name="smoke",
        model="nano",
        kit=KitConfig(),
        interactions=InteractionsConfig(),
        # Small enough for two cores, large enough that every kind of sample occurs.
        sft=SftConfig(steps=3, conversations=2, pictures=4, prompts=2, prior_pictures=2, prior_pool=4),
        # Two rounds, the second of which is validated: sampling, scoring, training and validation all run.
        grpo=GrpoConfig(
            rounds=2,
            epochs=1,
            rollout=RolloutConfig(prompts=2, group=2, sample_steps=2),
            nft=NftConfig(times=1),
            validation=ValidationConfig(every=2, prompts=2, group=2, sample_steps=2),
        ),
        # A few pictures and replies of each kind: enough to fill every part of the report.
        evaluation=EvaluationConfig(
            prompts=3,
            pictures=2,
            sample_steps=3,
            text_items=3,
            chats=1,
            role_plays=1,
            max_reply_tokens=8,
            max_reasoning_tokens=12,
        ),
        release=ReleaseConfig(),
        # A model of three steps must never replace a trained one.
        promotes=False,
    )


def cpu() -> Preset:
    """The default: nano on two cores, 10 to 16 minutes a character."""
    return Preset(
        name="cpu",
        model="nano",
        kit=KitConfig(),
        interactions=InteractionsConfig(),
        # The defaults of all settings are those of this preset.
        sft=SftConfig(),
        grpo=GrpoConfig(),
        evaluation=EvaluationConfig(),
        release=ReleaseConfig(),
    )


def few_pictures(count: int) -> Preset:
    """`cpu` with only `count` of the kit's training pictures and the interactions that show them."""
    # Everything else is equal, so that reports of these presets show the effect of the pictures alone.
    preset = cpu()
    return replace(preset, name=f"cpu-{count}", sft=replace(preset.sft, images=count))


def bagel() -> Preset:
    """BAGEL-7B-MoT on GPUs at 1024 px: the paper's steps and loss weights, with adapters instead of full
    tuning.

    Judges are those that the environment offers, see `docs/judges.md`.
    """
    return Preset(
        name="bagel",
        model="bagel",
        # BAGEL draws at 1024 pixels, so originals have to be larger than for nano.
        kit=KitConfig(size=1024, min_side=256),
        interactions=InteractionsConfig(),
        # Adapters need higher learning rates than the paper's full tuning (2e-5).
        sft=SftConfig(
            steps=501,
            conversations=3,
            und_lr=2e-4,
            gen_lr=2e-4,
            # Prior preservation from the base itself: what it could draw before it should still draw.
            prior_pictures=4,
            prior_pool=16,
            prior="base",
            prior_sample_steps=28,
            # As many pictures at a time as the GPU has memory for.
            microbatches=0,
            # The paper trains SFT without a timestep shift.
            shift=1.0,
            # Three times: hours on a GPU should not pass unseen.
            validation=SftValidationConfig(
                every=167, conversations=4, sample_steps=_STEPS, guidance=_GUIDANCE, shift=_SHIFT
            ),
        ),
        grpo=GrpoConfig(
            rounds=101,
            epochs=2,
            lr=3e-4,
            lr_decay=0.0,
            # 6 x 8 = 48 pictures a round, all in one optimizer step per epoch.
            rollout=RolloutConfig(
                prompts=6, step_prompts=6, group=8, sample_steps=14, shift=_SHIFT, microbatches=0
            ),
            # Beta, decay and KL as in DiffusionNFT; `domain_beta` is emptied, since it was measured on nano.
            nft=NftConfig(beta=1.0, domain_beta={}, times=1, ema_decay_per_step=0.001, kl=1e-4),
            # The value of both papers.
            reward=RewardConfig(advantage_clip=5.0, judges=reward_judges()),
            # Drawn as the report draws, so that what is selected is what will be measured. A validation costs
            # 1.2 times what a round does, so the run has six.
            validation=ValidationConfig(
                every=20, prompts=8, group=2, sample_steps=_STEPS, guidance=_GUIDANCE, shift=_SHIFT
            ),
        ),
        # Sampling as in the paper, and replies that end by themselves instead of being cut.
        evaluation=EvaluationConfig(
            sample_steps=_STEPS,
            guidance=_GUIDANCE,
            shift=_SHIFT,
            max_reply_tokens=200,
            max_reasoning_tokens=400,
            # The adapters of one side alone would cost an hour of GPU time more.
            ablations=False,
            # Other networks than those that give rewards.
            judges=report_judges(),
        ),
        release=ReleaseConfig(),
    )


def bagel_24gb() -> Preset:
    """`bagel` on one card of 24 GB: its frozen layers in 4 bits (NF4), pictures of 512 pixels."""
    preset = bagel()
    return replace(
        preset,
        name="bagel-24gb",
        load=LoadConfig(quantize="nf4", image_size=512),
        kit=replace(preset.kit, size=512),
    )


PRESETS: dict[str, Callable[[], Preset]] = {
    "smoke": smoke,
    "cpu": cpu,
    **{f"cpu-{count}": partial(few_pictures, count) for count in (1, 3, 5)},
    "bagel": bagel,
    "bagel-24gb": bagel_24gb,
}


def get_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UserError: There is none.
    """
    if name not in PRESETS:
        raise UserError(f"there is no preset {name!r}; the presets are {', '.join(PRESETS)}")

    # Made at each call, because judges are read from the environment.
    return PRESETS[name]()
