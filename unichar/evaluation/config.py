"""Evaluation: the numbers one may turn."""

from dataclasses import dataclass, field

from unichar.judges.config import JudgesConfig


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`."""

    prompts: int = 24
    """Held-out prompts that pictures are drawn for (all of them when there are fewer)."""
    pictures: int = 4
    """Pictures a prompt, from the same noise in every arm."""
    sample_steps: int = 12
    """Sampling steps."""
    guidance: float = 2.0
    """Classifier-free guidance; 1 is none."""
    shift: float = 2.0
    """Timestep shift of sampling."""
    text_items: int = 40
    """Test items of each text metric (all of them when there are fewer)."""
    chats: int = 5
    """Held-out user texts that every arm answers in the report; style is measured on these replies."""
    role_plays: int = 6
    """Held-out requests (moments, for a character of photographs) that every arm answers, plans and draws."""
    temperature: float = 0.7
    """Of replies and plans, always from the same seed; the likeliest words alone fall into a character's catchphrases."""
    max_reply_tokens: int = 48
    max_plan_tokens: int = 80
    sheet_rows: int = 8
    """Prompts on the contact sheet."""
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    """Further judges of photographs and replies; none of them may give rewards."""

    def __post_init__(self) -> None:
        for name in ("prompts", "sample_steps", "text_items", "chats", "role_plays", "sheet_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"EvaluationConfig.{name} is {getattr(self, name)}; expected 1 or more")
        if self.pictures < 2:
            raise ValueError(
                f"EvaluationConfig.pictures is {self.pictures}; expected 2 or more, diversity compares them"
            )
