"""The checks of a kit, in one list. `unichar.kit.suite` defines what each one measures. Light to import.

Severity `critical` stops the pipeline; `warning` is shown and stops nothing.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning"]

SUITE_VERSION = "1"
"""Raise it whenever a check is added, removed or changed: verdicts of an older suite are then refused."""

# The values that kit.yaml may have.
RIGHTS_BASES = ("original", "licensed", "public-domain", "consent")
CATEGORIES = ("human", "animal", "toon")


@dataclass(frozen=True, kw_only=True)
class CheckSpec:
    """One named check."""

    name: str
    severity: Severity
    description: str
    """What is true when it passes."""
    hint: str
    """One sentence: how to fix it."""
    needs: tuple[str, ...]
    """Files that must be readable before it can be judged. Without them it counts as failed, but is no
    reason of its own."""


# Order of the rows: of the report page, of validation.json, and of the reasons in a rejection.
CHECKS: tuple[CheckSpec, ...] = (
    # The folder and its files.
    CheckSpec(
        name="kit_readable",
        severity="critical",
        description="Every file of the kit is there and can be read.",
        hint="Correct what is named; docs/kit.md shows the format of each file.",
        needs=(),
    ),
    CheckSpec(
        name="key_valid",
        severity="critical",
        description="The id is a valid key and equals the name of the folder.",
        # The length and the letters are those of `KEY` in unichar/kit/schema.py.
        hint="Use 1 to 48 of a-z, 0-9 and '-', starting with a letter or digit, for the folder and for "
        "`id` in kit.yaml.",
        needs=("kit.yaml",),
    ),
    # Who may use the kit.
    CheckSpec(
        name="rights_stated",
        severity="critical",
        description="The kit says on what right it may be used, who holds it, and who agreed where people "
        "are concerned.",
        hint=f"Fill in `rights` in kit.yaml: basis ({', '.join(RIGHTS_BASES)}) and holder; a kit of a "
        "human, or one with the basis consent, also says in `consent` who agreed to what and when, or "
        "why nobody has to.",
        needs=("kit.yaml",),
    ),
    # Texts.
    CheckSpec(
        name="texts_filled",
        severity="critical",
        description="Name, category, description, traits, style, profile, and both sides of every "
        "exchange have a text.",
        hint=f"Write the missing texts; category is one of {', '.join(CATEGORIES)}.",
        needs=("kit.yaml", "profile.md", "scenes.jsonl", "dialogues.jsonl"),
    ),
    CheckSpec(
        name="texts_fit_prompts",
        severity="critical",
        description="No text is longer than a prompt can hold, and none contains a control token of the "
        "models.",
        # Control tokens inside a text would end a turn or start a picture in the middle of a prompt.
        hint="Shorten the text (a longer story belongs into profile.md) and leave out control tokens as "
        "<think>, <gen> or <|im_end|>.",
        needs=("kit.yaml", "scenes.jsonl", "dialogues.jsonl"),
    ),
    # Pictures.
    CheckSpec(
        name="picture_count",
        severity="critical",
        description="There are enough distinct pictures to train on and to hold some out, and not too many.",
        # Ten as in the paper; one in five is `KitConfig.held_out_fraction`.
        hint="Bring about ten different pictures of the character, and hold out only one in five.",
        needs=("images", "scenes.jsonl"),
    ),
    CheckSpec(
        name="pictures_usable",
        severity="critical",
        description="Every file in images/ opens as a whole picture and is large enough.",
        hint="Save the picture again as PNG, JPEG or WebP from a larger original, or remove it together "
        "with its scene line.",
        needs=("images",),
    ),
    CheckSpec(
        name="pictures_suit_model",
        severity="warning",
        description="No picture has to be enlarged, and none is so long that it must be padded with bars.",
        hint="Use a larger original, or crop the picture around the character yourself.",
        needs=("images",),
    ),
    CheckSpec(
        name="pictures_distinct",
        severity="warning",
        description="No picture is another one again, copied, resized or compressed anew.",
        hint="Remove the copy and its scene line, or replace it by another picture; copies are left out of "
        "training.",
        needs=("images",),
    ),
    # Scene lines and attributes.
    CheckSpec(
        name="scenes_complete",
        severity="critical",
        description="Every picture has exactly one line in scenes.jsonl, and every line names a picture "
        "that exists.",
        hint="Add the missing line or picture, remove what is double, and write file names as they are, "
        "with the same capitals.",
        needs=("images", "scenes.jsonl"),
    ),
    CheckSpec(
        name="attributes_known",
        severity="critical",
        description="Attributes are complete, in the vocabulary of toons, and given for all pictures or "
        "for none.",
        hint="Correct the named attribute, or leave `attributes` out of every line for characters that "
        "are no toons of that vocabulary.",
        needs=("scenes.jsonl",),
    ),
    CheckSpec(
        name="look_constant",
        severity="warning",
        description="The attributes that make the toon's identity are the same for all pictures.",
        # A warning only: the value that most pictures have still defines the likeness.
        hint="Species, colours, pattern and accessory should not change: likeness is measured against "
        "what most pictures show.",
        needs=("scenes.jsonl",),
    ),
    # Facts.
    CheckSpec(
        name="facts_complete",
        severity="critical",
        description="There are enough facts; each has a question, an answer and its evidence, and no "
        "question is asked twice.",
        hint="Complete or add facts in kit.yaml; a second wording of one question belongs into its "
        "`paraphrase`.",
        needs=("kit.yaml",),
    ),
    CheckSpec(
        name="facts_in_profile",
        severity="warning",
        description="The evidence of every fact can be found in profile.md.",
        hint="Quote the sentence of profile.md that proves the answer, or add it there.",
        needs=("kit.yaml", "profile.md"),
    ),
    # The split.
    CheckSpec(
        name="held_out_unseen",
        severity="critical",
        description="What is said to the character at a held-out picture is said nowhere in training.",
        hint="Reword the user text of the held-out line, or of the other line that has the same text.",
        needs=("scenes.jsonl", "dialogues.jsonl"),
    ),
)
