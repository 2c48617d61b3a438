"""`MODEL_CARD.md`: what a released model is, what it was measured at, and what it is not. No torch.

The text stands in `templates/model_card.md.j2`; every text of kits and reports is escaped there. Not in the
paper.
"""

from typing import Any

from unichar.kit.schema import KitSheet
from unichar.pages.render import render_markdown
from unichar.release.rules import Decision


def model_card(report: dict[str, Any], decision: Decision, sheet: KitSheet, *, checkpoint: str) -> str:
    """The text of the card.

    Args:
        report: Content of `report.json`; `base` and `data` may be missing, then the card says so.
        decision: Of the gate.
        sheet: The kit's own words: name, description, rights.
        checkpoint: Fingerprint of the released GRPO checkpoint.
    """
    arms = report["arms"]

    # In the order of the report, each once, also those that only one arm has.
    metrics = list(dict.fromkeys(name for measured in arms.values() for name in measured))

    # Only what the author filled in is printed.
    rights = [(name, getattr(sheet.rights, name)) for name in ("basis", "holder", "consent", "note")]

    # Old kits and reports lack some of these; the template says what is unknown.
    return render_markdown(
        "release/templates/model_card.md.j2",
        name=sheet.name or report.get("character", ""),
        description=sheet.description,
        character=report.get("character", ""),
        checkpoint=checkpoint,
        base=report.get("base", {}),
        data=report.get("data", {}),
        rights=[(name, text) for name, text in rights if text],
        decision=decision,
        arms=arms,
        metrics=metrics,
    )
