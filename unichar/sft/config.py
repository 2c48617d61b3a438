"""Unified supervised fine-tuning: the numbers one may turn. Paper values in brackets (method: Unified-SFT)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`."""

    steps: int = 150
    """Optimizer steps [501]."""
    conversations: int = 3
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
    prior_pictures: int = 8
    """Noised pictures of strangers a step, so that the model does not forget how everybody else is drawn [0]."""
    prior_pool: int = 48
    """Different strangers to draw from."""
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
    save_seconds: float = 30.0
    """Seconds between checkpoints a killed run resumes from."""

    def __post_init__(self) -> None:
        for name in ("steps", "prompts", "und_rank", "gen_rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"SftConfig.{name} is {getattr(self, name)}; expected 1 or more")
        if self.pictures < 0 or self.conversations < 0 or self.pictures + self.conversations == 0:
            raise ValueError(
                f"SftConfig.conversations is {self.conversations} and pictures is {self.pictures}; expected one above 0"
            )
        if self.pictures % self.prompts:
            raise ValueError(f"SftConfig.pictures is {self.pictures}; expected a multiple of prompts ({self.prompts})")
        if self.prior_pictures > self.prior_pool:
            raise ValueError(
                f"SftConfig.prior_pictures is {self.prior_pictures}; expected at most prior_pool ({self.prior_pool})"
            )
