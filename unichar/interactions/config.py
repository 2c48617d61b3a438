"""How many samples of each kind stage 3 composes, and how many of them are kept for testing."""

from dataclasses import dataclass

from unichar.errors import UserError


@dataclass(frozen=True, kw_only=True)
class InteractionsConfig:
    """Settings of `synthesize`. Defaults follow the paper: 190 exchanges, three forms of image prompt."""

    # Conversations. A fraction of their topics is asked in the test only.
    num_role_play: int = 190
    """Single exchanges to aim for, both splits together; a small kit yields fewer (see the summary)."""
    test_share: float = 0.12
    """Fraction of the exchanges kept for testing, by topic, 0..1; those of held-out pictures always count."""
    multi_turn_share: float = 0.12
    """Conversations of two exchanges, as a fraction of the single ones and in addition to them, 0..1."""
    num_grounded: int = 1
    """Samples a picture that show the picture before the user speaks."""

    # Prompts for pictures, and questions about them and about facts.
    num_plain_captions: int = 4
    """Caption wordings a training picture; a picture without toon attributes has at most five."""
    num_scene_repeats: int = 1
    """Samples a training picture in each of the forms `scene` and `scene_thinking`, with one text each."""
    num_visual_wordings: int = 2
    """Wordings of each question about a training picture."""
    num_knowledge_wordings: int = 3
    """Wordings of each fact's question in training, at most four."""

    # Scenes that no picture of the kit shows.
    num_unseen_scenes: int = 12
    """Test captions of scenes that no picture shows (toons only)."""
    num_open_prompts: int = 12
    """Test captions that name one or two attributes of a scene and leave the rest open; of photographs,
    everyday scenes (64 at most) that no picture shows."""
    num_instructions: int = 40
    """Training scenes that the user asks to see, two samples each (toons only)."""
    num_test_instructions: int = 10
    """The same for the test, with scenes that no training sample and no picture shows."""

    def __post_init__(self) -> None:
        # At 1 nothing would be left to train on.
        for name in ("test_share", "multi_turn_share"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"InteractionsConfig.{name} is {getattr(self, name)}; expected at least 0 and below 1"
                )

        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UserError(
                    f"InteractionsConfig.{name} is {getattr(self, name)}; expected {least} or more"
                )


# 0 switches a form off; what every stage after this one needs must be there at least once.
_LEAST = {
    "num_role_play": 1,
    "num_grounded": 0,
    "num_plain_captions": 1,
    "num_scene_repeats": 0,
    "num_visual_wordings": 1,
    "num_knowledge_wordings": 1,
    "num_unseen_scenes": 0,
    "num_open_prompts": 0,
    "num_instructions": 0,
    "num_test_instructions": 0,
}
"""Lowest value of each number."""
