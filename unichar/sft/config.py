"""Settings of Unified-SFT. The paper's values in brackets (method: Unified-SFT). No torch."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from unichar.domains.base import Domain
from unichar.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SftValidationConfig:
    """Validation while training: held-out conversations, and a sheet of sampled pictures."""

    every: int = 0
    """Optimizer steps between validations; 0 never validates and holds nothing out [0]."""
    conversations: int = 8
    """Training conversations held out, each from a topic that is then not trained on at all."""
    pictures: int = 4
    """Pictures on the sheet, sampled for training prompts from fixed noise; 0 for no sheet."""
    sample_steps: int = 8
    """Sampling steps per picture of the sheet."""
    guidance: float = 2.0
    """Classifier-free guidance of the sheet; must be that of the report."""
    shift: float = 2.0
    """Timestep shift of the sheet; must be that of the report."""
    patience: int = 0
    """Validations in a row without a lower held-out loss after which training ends (early stopping); 0 is
    never."""
    keep_best: bool = False
    """Whether the text adapters with the lowest held-out loss are saved; pictures' are always those of the
    last step."""

    def __post_init__(self) -> None:
        _expect_at_least(1, "validation", self, "conversations", "sample_steps")
        _expect_at_least(0, "validation", self, "every", "pictures", "patience")


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """Settings of the stage `sft`. Defaults are those of the preset `cpu`."""

    steps: int = 150
    """Optimizer steps [501]."""

    # Text.
    conversations: int = 6
    """Conversations per step; 0 trains on pictures alone."""
    mix: dict[str, float] = field(
        default_factory=lambda: {"role_play": 0.4, "thinking": 0.2, "visual_qa": 0.15, "knowledge_qa": 0.25}
    )
    """Kind of conversation -> its proportion; within a kind every item is seen before any repeats."""

    # Pictures of the character.
    pictures: int = 24
    """Noised pictures of the character per step; 0 trains on text alone."""
    images: int = 0
    """How many of the kit's training pictures are used, with all items that refer to them; 0 for all."""
    prompts: int = 6
    """Different prompts those pictures are spread over; each prompt is encoded once."""

    # Prior preservation: pictures of others, against forgetting.
    prior_pictures: int = 12
    """Noised prior-preservation pictures per step, of anybody but the character [0]."""
    prior_pool: int = 240
    """Different prior-preservation pictures to sample from."""
    prior: Literal["rendered", "base"] = "rendered"
    """Where they come from: the domain's renderer, or the base, whose samples keep whatever it can draw."""
    prior_sample_steps: int = 16
    """Sampling steps of a picture that the base draws."""

    # Objective and adapters; `und` is the text backbone, `gen` the generation expert.
    ce_weight: float = 0.25
    """Weight of the cross-entropy on text [0.25]."""
    mse_weight: float = 1.0
    """Weight of the flow-matching error on pictures [1.0]."""
    und_rank: int = 16
    """LoRA rank of the text backbone [full tuning]."""
    und_targets: tuple[str, ...] = ()
    """Suffixes of the names of the backbone's layers that get adapters; empty for all the model offers."""
    und_lr: float = 7e-4
    """Peak learning rate of the text adapters [2e-5, full tuning]."""
    gen_rank: int = 64
    """LoRA rank of the generation expert [full tuning]."""
    gen_targets: tuple[str, ...] = ()
    """Suffixes of the names of the expert's layers that get adapters; empty for all the model offers."""
    gen_lr: float = 2e-3
    """Peak learning rate of the picture adapters [2e-5, full tuning]."""

    # Optimization.
    shift: float = 2.0
    """Timestep shift of training: above 1, more samples at high noise, where identity is decided [1.0]."""
    clip: float = 1.0
    """Largest gradient norm of each side [1.0]."""

    # Memory; none of these changes the numbers but for rounding.
    microbatches: int = 1
    """Microbatches per step: less memory, the same step; 0 chooses the fewest that fit the GPU [1]."""
    checkpointing: bool = False
    """Activation checkpointing of the text backbone: less memory, half more time [on]."""
    shard: bool = False
    """Whether ranks split the weights between them (FSDP2) instead of each holding all [on]."""

    # Validation, logs and checkpoints.
    validation: SftValidationConfig = field(default_factory=SftValidationConfig)
    tracker: str = "tensorboard"
    """Where the curve goes besides `curve.jsonl`: a tracker of accelerate (tensorboard, mlflow, ...) or
    ""."""
    save_seconds: float = 30.0
    """Least seconds between the checkpoints a killed run resumes from; more where saving takes long."""

    def __post_init__(self) -> None:
        counts = ("steps", "prompts", "und_rank", "gen_rank", "prior_sample_steps")
        _expect_at_least(1, "", self, *counts)
        _expect_at_least(0, "", self, "microbatches")
        if self.prior not in ("rendered", "base"):
            raise UserError(f"SftConfig.prior is {self.prior!r}; expected rendered or base")

        # A step must have something to learn from, and prompts split the pictures evenly.
        if self.pictures < 0 or self.conversations < 0 or self.pictures + self.conversations == 0:
            raise UserError(
                f"SftConfig.conversations is {self.conversations} and pictures is {self.pictures}; "
                "expected one above 0"
            )
        if self.pictures % self.prompts:
            raise UserError(
                f"SftConfig.pictures is {self.pictures}; expected a multiple of prompts ({self.prompts})"
            )

        # With a smaller pool a step would repeat its pictures.
        if self.prior_pictures > self.prior_pool:
            raise UserError(
                f"SftConfig.prior_pictures is {self.prior_pictures}; "
                f"expected at most prior_pool ({self.prior_pool})"
            )

        # Both go by the held-out loss, which exists only if a validation is due and text is trained on.
        validation = self.validation
        if (validation.patience or validation.keep_best) and not (validation.every and self.conversations):
            raise UserError(
                f"SftConfig.validation.every is {validation.every}, conversations is {self.conversations}; "
                "validation.patience and validation.keep_best need both above 0, "
                "since they go by held-out conversations"
            )

    def for_domain(self, domain: Domain) -> "SftConfig":
        """The settings as they apply to one kind of pictures.

        Rendered prior-preservation images guard what renders have in common; beside pictures of another kind
        they cost more likeness than anything else (docs/log.md).
        """
        # `prior="base"` stays: the base's own samples are everyday photographs, too.
        return self if domain.renders or self.prior != "rendered" else replace(self, prior_pictures=0)


def _expect_at_least(least: int, group: str, config: Any, *names: str) -> None:
    """Raise UserError for a field below `least`."""
    for name in names:
        value = getattr(config, name)
        if value < least:
            path = ".".join(part for part in ("SftConfig", group, name) if part)
            raise UserError(f"{path} is {value}; expected {least} or more")
