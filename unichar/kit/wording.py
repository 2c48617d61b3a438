"""Texts compared in one spelling, and the words of a scene line that its author may leave out."""

import random
import re
import textwrap
import unicodedata

from unichar.domains.toon.captions import caption as toon_caption
from unichar.domains.toon.captions import scene_phrases
from unichar.domains.toon.vocabulary import SCENE, Scene
from unichar.kit.schema import SceneRow


def bare(text: str) -> str:
    """A text without case, punctuation and spacing: `You’re  late!` and `"YOU'RE LATE"` are the same thing said."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", re.sub(r"['’‘]", "", plain)))


def complete(row: SceneRow, *, name: str, seed: int) -> SceneRow:
    """A scene line with the words its author left out.

    A caption comes from the attributes, else from the instruction, else from what is said; it always names the character.
    Thinking and instruction come from the attributes; an instruction can also be the caption. Same seed, same words.
    """
    caption, thinking, instruction = row.caption, row.thinking, row.instruction
    if row.attributes:
        scene = Scene(**{key: row.attributes[key] for key in SCENE})
        caption = caption or toon_caption(name, scene, random.Random(f"{seed} {row.picture} caption"))
        thinking = thinking or _thought(name, scene, random.Random(f"{seed} {row.picture} thinking"))
        instruction = instruction or toon_caption(
            name, scene, random.Random(f"{seed} {row.picture} instruction")
        )
    caption = caption or instruction or f'{name}, asked "{_short(row.user)}", answering "{_short(row.reply)}"'
    if bare(name) not in bare(caption):
        caption = f"{name}: {caption}"
    return row.model_copy(
        update={"caption": caption, "thinking": thinking, "instruction": instruction or caption}
    )


_MOODS = {
    "smiling": "The answer is a friendly one.",
    "sad": "The answer is a sad one.",
    "angry": "There is anger in the answer.",
    "surprised": "This comes as a surprise.",
    "sleepy": "The answer sounds tired.",
    "winking": "The answer is half a joke.",
    "laughing": "There is laughter in the answer.",
}


def _thought(name: str, scene: Scene, rng: random.Random) -> str:
    return f"{_MOODS[scene.expression]} I picture {name} {', '.join(scene_phrases(scene, rng))}."


def _short(text: str) -> str:
    return textwrap.shorten(text, 100, placeholder=" …")
