"""What every composer of interactions reads, bound once instead of passed on piece by piece."""

import random
from dataclasses import dataclass

from unichar.interactions import prompts
from unichar.interactions.config import InteractionsConfig
from unichar.interactions.style_profile import StyleProfile
from unichar.types import CuratedKit, Segment


@dataclass(frozen=True, kw_only=True)
class Context:
    """One kind of interactions of one character in the making.

    Example: `Context(kit=kit, config=InteractionsConfig(), style=extract_style(kit),
    rng=random.Random("0/role_play"))`
    """

    # The same for all kinds of one character; nothing here is changed while composing.
    kit: CuratedKit
    config: InteractionsConfig
    style: StyleProfile
    rng: random.Random
    """Of this kind alone. Draws depend on the order of calls, so composers must not be reordered."""

    @property
    def card(self) -> Segment:
        """The system segment that opens every conversation with the character."""
        # Written by the same function as when the character talks: it must see at inference what it saw here.
        kit = self.kit
        text = prompts.character_card(name=kit.name, description=kit.description, opening=kit.opening)
        return Segment(type="text", value=text, role="system")
