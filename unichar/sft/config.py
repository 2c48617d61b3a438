"""Unified supervised fine-tuning: the numbers one may turn. Paper values in brackets (method: Unified-SFT)."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SftConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`."""

    steps: int = 76
    """Optimizer steps [501]."""
    conversations: int = 6
    """Conversations a step, drawn without replacement until all were seen."""
    pictures: int = 24
    """Noised character pictures a step."""
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
    und_lr: float = 1e-3
    """Peak learning rate of the text adapters [2e-5, full tuning]."""
    gen_rank: int = 32
    """LoRA rank of the generation expert [full tuning]."""
    gen_lr: float = 2e-3
    """Peak learning rate of the picture adapters [2e-5, full tuning]."""
    shift: float = 2.0
    """Timestep shift of training: above 1, more of the training at high noise, where identity is decided [1.0]."""
    clip: float = 1.0
    """Largest gradient norm of each side [1.0]."""
    save_seconds: float = 30.0
    """Seconds between checkpoints a killed run resumes from."""

    def __post_init__(self) -> None:
        for name in ("steps", "conversations", "prompts", "und_rank", "gen_rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"SftConfig.{name} is {getattr(self, name)}; expected 1 or more")
        if self.pictures % self.prompts:
            raise ValueError(f"SftConfig.pictures is {self.pictures}; expected a multiple of prompts ({self.prompts})")
        if self.prior_pictures > self.prior_pool:
            raise ValueError(
                f"SftConfig.prior_pictures is {self.prior_pictures}; expected at most prior_pool ({self.prior_pool})"
            )
