"""Settings of the evaluation stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unichar.errors import UserError
from unichar.judges.config import JudgesConfig

Arms = Mapping[str, tuple[str, tuple[str, ...]]]
"""Arm -> the checkpoint its adapters come from, and the components they attach to."""
ARMS: Arms = {
    "base": ("", ()),
    "text_only": ("sft_checkpoint", ("und",)),
    "image_only": ("sft_checkpoint", ("gen",)),
    "sft": ("sft_checkpoint", ("und", "gen")),
    "grpo": ("grpo_checkpoint", ("und", "gen")),
}
"""All arms, in the order of the report."""
_ABLATIONS = ("text_only", "image_only")
"""Arms with the adapters of one component.

On nano they are what training that component alone gives: the two have no trained number in common, and each
is trained against the other's frozen base. BAGEL trains both together, so there they show the two parts of
one training.
"""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`.

    Raises:
        UserError: A setting is out of range.
    """

    # Pictures: how many, and how they are sampled.
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

    # Texts: how much is measured, and how replies are sampled.
    text_items: int = 40
    """Test items of each text metric (all of them when there are fewer)."""
    chats: int = 5
    """Held-out user texts that every arm answers in the report; style is measured on these replies."""
    role_plays: int = 6
    """Held-out multimodal turns that every arm answers, reasons about and draws."""
    temperature: float = 0.7
    """Of replies and reasoning texts, always from the same seed. Greedy decoding falls into catchphrases."""
    max_reply_tokens: int = 48
    """Longest reply."""
    max_reasoning_tokens: int = 80
    """Longest reasoning text before a picture."""

    ablations: bool = True
    """Whether the arms with the adapters of one component are measured, too. On BAGEL each draws all pictures
    once more, which is two fifths of a report."""

    # What people see, and who judges besides the report encoder.
    sheet_rows: int = 8
    """Prompts on the contact sheet."""
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    """Further judges of photographs and replies; none of them may give rewards."""

    def __post_init__(self) -> None:
        # A count of 0 leaves a metric without items, and there is no mean of nothing.
        for name in ("prompts", "sample_steps", "text_items", "chats", "role_plays", "sheet_rows"):
            if getattr(self, name) < 1:
                raise UserError(f"EvaluationConfig.{name} is {getattr(self, name)}; expected 1 or more")

        # A single picture of a prompt has no other to differ from.
        if self.pictures < 2:
            raise UserError(
                f"EvaluationConfig.pictures is {self.pictures}; expected 2 or more: diversity compares them"
            )

    @property
    def arms(self) -> Arms:
        """The arms that are measured, in the order of the report."""
        return {arm: ARMS[arm] for arm in ARMS if self.ablations or arm not in _ABLATIONS}
