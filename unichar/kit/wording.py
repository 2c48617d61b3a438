"""Comparison of texts regardless of spelling, and the texts of a scene line that its author may leave out."""

import random
import re
import textwrap
import unicodedata

from unichar.domains.base import Domain
from unichar.kit.schema import SceneRow


def bare(text: str) -> str:
    """A text without case, punctuation and spacing, for comparison.

    Example: `bare("You’re  late!") == bare('"YOU\'RE LATE"')`
    """
    # NFKC: one code point for full-width letters, ligatures and combined accents.
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", re.sub(r"['’‘]", "", plain)))


def complete(row: SceneRow, domain: Domain, *, name: str, seed: int) -> SceneRow:
    """A scene line with the texts that its author left out.

    A caption is composed from the attributes, else from the instruction, else from the exchange; it always
    names the character. Thinking and instruction are composed from the attributes; the caption also serves
    as an instruction. The same seed gives the same texts.
    """

    def rng(what: str) -> random.Random:
        return random.Random(f"{seed} {row.picture} {what}")

    # Each text has random draws of its own, so that leaving one out does not change the others.
    caption = row.caption or domain.compose_caption(name, row.attributes, rng("caption"))
    thinking = row.thinking or domain.compose_thinking(name, row.attributes, rng("thinking"))
    instruction = row.instruction or domain.compose_caption(name, row.attributes, rng("instruction"))

    # Without attributes the author's other texts have to do.
    caption = caption or instruction or f'{name}, asked "{_short(row.user)}", answering "{_short(row.reply)}"'
    if bare(name) not in bare(caption):
        caption = f"{name}: {caption}"
    return row.model_copy(
        update={"caption": caption, "thinking": thinking, "instruction": instruction or caption}
    )


def _short(text: str) -> str:
    return textwrap.shorten(text, 100, placeholder=" …")
