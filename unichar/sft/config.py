"""Unified supervised fine-tuning: the numbers one may turn. Paper values in brackets (method: Unified-SFT)."""

from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`."""

    steps: int = 150
    """Optimizer steps [501]."""
    conversations: int = 6
    """Conversations a step; 0 trains pictures alone."""
    mix: dict[str, float] = field(
        default_factory=lambda: {"role_play": 0.4, "thinking": 0.2, "visual_qa": 0.15, "knowledge_qa": 0.25}
    )
    """Kind of conversation -> its share of all that are drawn; within a kind every item is seen before any repeats."""
    pictures: int = 24
    """Noised character pictures a step; 0 trains text alone."""
    images: int = 0
    """How many of the kit's training pictures are used, with all that refers to them; 0 for all."""
    prompts: int = 6
    """Different prompts those pictures are spread over; each prompt's context is read once."""
    prior_pictures: int = 12
    """Noised pictures of strangers a step, so that the model does not forget how everybody else is drawn [0]."""
    prior_pool: int = 240
    """Different strangers to draw from."""
    prior: Literal["toons", "base"] = "toons"
    """Where their pictures come from: the toon world's renderer, or the base itself, which keeps whatever it can draw."""
    prior_sample_steps: int = 16
    """Sampling steps of a picture that the base draws."""
    ce_weight: float = 0.25
    """Weight of the cross-entropy on text [0.25]."""
    mse_weight: float = 1.0
    """Weight of the flow-matching error on pictures [1.0]."""
    und_rank: int = 16
    """LoRA rank of the text backbone [full tuning]."""
    und_targets: tuple[str, ...] = ()
    """Ends of the names of the backbone's linear layers with adapters; empty for all the model offers."""
    und_lr: float = 7e-4
    """Peak learning rate of the text adapters [2e-5, full tuning]."""
    gen_rank: int = 64
    """LoRA rank of the generation expert [full tuning]."""
    gen_targets: tuple[str, ...] = ()
    """Ends of the names of the expert's linear layers with adapters; empty for all the model offers."""
    gen_lr: float = 2e-3
    """Peak learning rate of the picture adapters [2e-5, full tuning]."""
    shift: float = 2.0
    """Timestep shift of training: above 1, more of the training at high noise, where identity is decided [1.0]."""
    clip: float = 1.0
    """Largest gradient norm of each side [1.0]."""
    accumulate: int = 1
    """Parts in which a step's conversations and pictures are read, one after the other: less memory, the same step [1]."""
    checkpointing: bool = False
    """Whether the text backbone forgets its activations and computes them again: less memory, half more time [on]."""
    shard: bool = False
    """Whether several processes split the weights between them (FSDP2) instead of each holding all [on]."""
    validation_every: int = 0
    """Steps between two looks at held-out conversations and a sheet of pictures; 0 never looks and holds nothing out [0]."""
    validation_conversations: int = 8
    """Training conversations kept aside for that, each from a topic that is then not trained at all."""
    validation_pictures: int = 4
    """Pictures on the sheet, drawn for training prompts always from the same noise; 0 for no sheet."""
    validation_sample_steps: int = 8
    """Sampling steps of a picture on the sheet."""
    patience: int = 0
    """Training ends after so many looks in a row without a better held-out likelihood; 0 for never."""
    keep_best: bool = False
    """Whether the text adapters come from the step whose held-out likelihood was best; else, and for pictures, from the last."""
    tracker: str = "tensorboard"
    """Where the curves go besides `curve.jsonl`: a tracker that accelerate knows, as tensorboard or mlflow; empty for none."""
    save_seconds: float = 30.0
    """Seconds between checkpoints a killed run resumes from."""

    def __post_init__(self) -> None:
        counts = ("steps", "prompts", "und_rank", "gen_rank", "accumulate", "validation_conversations")
        for name in (*counts, "validation_sample_steps", "prior_sample_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"SftConfig.{name} is {getattr(self, name)}; expected 1 or more")
        if self.prior not in ("toons", "base"):
            raise ValueError(f"SftConfig.prior is {self.prior!r}; expected toons or base")
        for name in ("validation_every", "validation_pictures", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"SftConfig.{name} is {getattr(self, name)}; expected 0 or more")
        if self.pictures < 0 or self.conversations < 0 or self.pictures + self.conversations == 0:
            raise ValueError(
                f"SftConfig.conversations is {self.conversations} and pictures is {self.pictures}; expected one above 0"
            )
        if self.pictures % self.prompts:
            raise ValueError(
                f"SftConfig.pictures is {self.pictures}; expected a multiple of prompts ({self.prompts})"
            )
        if self.prior_pictures > self.prior_pool:
            raise ValueError(
                f"SftConfig.prior_pictures is {self.prior_pictures}; expected at most prior_pool ({self.prior_pool})"
            )
        if (self.patience or self.keep_best) and not (self.validation_every and self.conversations):
            raise ValueError(
                f"SftConfig.validation_every is {self.validation_every} and conversations is {self.conversations}; "
                "patience and keep_best need both above 0, since they go by held-out conversations"
            )

    def for_kind(self, *, toons: bool) -> "SftConfig":
        """The settings as they apply to one kind of character: rendered strangers guard what toons share, and beside photographs
        they cost more likeness than anything else (docs/log.md)."""
        return self if toons or self.prior != "toons" else replace(self, prior_pictures=0)
