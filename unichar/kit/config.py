"""What a kit must bring and how its pictures are prepared: the numbers of `validate` and `curate`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KitConfig:
    """Settings of stages 1 and 2. The paper works with about ten pictures a character; its published set has 9 to 15 of each."""

    min_pictures: int = 5
    """Distinct, readable pictures a kit needs."""
    max_pictures: int = 15
    """Above this the character is a training set of its own, and the contact sheet cannot be looked at any more."""
    min_train: int = 4
    """Pictures that must remain for training after the held-out ones are set aside."""
    held_out_share: float = 0.2
    """Share of the pictures kept for testing when no line of scenes.jsonl says `held_out`; at least one picture."""
    min_side: int = 64
    """Shorter side in pixels below which a picture is refused."""
    max_ratio: float = 2.0
    """Longer : shorter side above which a picture is padded instead of cropped, with a warning."""
    max_pixels: int = 40_000_000
    """Pictures that unpack to more are refused unopened (a 1 MB file can unpack to gigabytes)."""
    size: int = 128
    """Side of the prepared pictures in pixels: 128 for nano, 1024 for BAGEL."""
    min_facts: int = 5
    """Question-answer facts a kit needs, so that some can be kept for testing."""
    max_description: int = 1000
    """Characters; the description stands in front of every conversation and every portrait request."""
    max_message: int = 800
    """Characters of one user text, reply, opening, caption, instruction, question or answer."""
    max_thinking: int = 2000
    """Characters of the thinking behind a picture."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"KitConfig.{name} is {getattr(self, name)}; expected {least} or more")
        if not 0 < self.held_out_share < 1:
            raise ValueError(
                f"KitConfig.held_out_share is {self.held_out_share}; expected a share between 0 and 1"
            )
        if not self.min_train < self.min_pictures <= self.max_pictures:
            raise ValueError(
                "KitConfig needs min_train < min_pictures <= max_pictures, so that a picture can be held out; "
                f"got {self.min_train}, {self.min_pictures}, {self.max_pictures}"
            )


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
