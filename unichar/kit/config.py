"""What a kit must bring and how its pictures are prepared: the settings of `validate` and `curate`."""

from dataclasses import dataclass

from unichar.errors import UserError


@dataclass(frozen=True, kw_only=True)
class KitConfig:
    """Settings of stages 1 and 2. The paper uses about ten pictures a character; its data set has 9 to 15."""

    # How many pictures.
    min_pictures: int = 5
    """Distinct, readable pictures that a kit needs."""
    max_pictures: int = 15
    """Distinct pictures that a kit may have. More than this no longer fit on a contact sheet."""
    min_train: int = 4
    """Pictures that must remain for training after the held-out ones are removed."""
    held_out_fraction: float = 0.2
    """Fraction of pictures held out, at least one, when no line of scenes.jsonl says `held_out`."""

    # How a picture must be, and what it becomes.
    min_side: int = 64
    """Shorter side in pixels below which a picture is refused."""
    max_ratio: float = 2.0
    """Ratio of longer to shorter side above which a picture is padded, not cropped, with a warning."""
    max_pixels: int = 40_000_000
    """Pixels above which a picture is refused before it is unpacked: a 1 MB file can unpack to gigabytes."""
    size: int = 128
    """Side of the prepared pictures in pixels: 128 for nano, 1024 for BAGEL."""

    # How much text.
    min_facts: int = 5
    """Question-answer facts that a kit needs, so that some can be held out."""
    max_description: int = 1000
    """Characters of the description, which begins every conversation and every text-to-image prompt."""
    max_message: int = 800
    """Characters of one user text, reply, opening, caption, instruction, question or answer."""
    max_thinking: int = 2000
    """Characters of the reasoning text behind a picture."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UserError(f"KitConfig.{name} is {getattr(self, name)}; expected {least} or more")

        # At 0 nothing could be tested, at 1 nothing trained.
        if not 0 < self.held_out_fraction < 1:
            raise UserError(
                f"KitConfig.held_out_fraction is {self.held_out_fraction}; expected a number between 0 and 1"
            )

        # The smallest kit still holds one picture out.
        if not self.min_train < self.min_pictures <= self.max_pictures:
            raise UserError(
                "KitConfig needs min_train < min_pictures <= max_pictures, so that a picture can be held "
                f"out; got {self.min_train}, {self.min_pictures}, {self.max_pictures}"
            )


# The smallest value of a setting that makes sense.
_LEAST = {
    "min_train": 1,
    "min_side": 16,
    "max_ratio": 1,
    "max_pixels": 1,
    "size": 16,
    "min_facts": 2,
    "max_description": 1,
    "max_message": 1,
    "max_thinking": 1,
}
