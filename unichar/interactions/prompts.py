"""All prompts that models are trained with, each written once for synthesis, training and inference.

Field labels follow the paper's data (Character Description, Opening, User Input, Character Response, Thinking
Process, Generation Instruction); the sentences are our own. A label whose text is empty is left out.
"""

import re

# Part of every trained checkpoint: another wording is a prompt that no character has learned.
REASONING_REQUEST = (
    "Plan a picture of this moment: your thoughts in <think></think>, then what to draw in <gen></gen>."
)


def character_card(*, name: str, description: str, opening: str = "") -> str:
    """The system text of every conversation with the character."""
    return _fields([("Character Description", description), ("Opening", opening)]) + f"\n\nAnswer as {name}."


def scene_prompt(
    *, name: str, description: str, user: str, reply: str, thinking: str = "", instruction: str = ""
) -> str:
    """The prompt for the picture of a multimodal turn, with or without the reasoning made for it."""
    # In the paper's order. The reasoning is left out by being empty.
    turn = [("Character Description", description), ("User Input", user), ("Character Response", reply)]
    reasoning = [("Thinking Process", thinking), ("Generation Instruction", instruction)]
    return _fields(turn + reasoning) + f"\n\nDraw {name} in this moment."


def reasoning_text(thinking: str, instruction: str) -> str:
    """The answer to `REASONING_REQUEST`."""
    return f"<think>{thinking}</think>\n<gen>{instruction}</gen>"


def parse_reasoning(text: str) -> tuple[str, str]:
    """(thinking, instruction) of an answer to `REASONING_REQUEST`; an unclosed last tag reaches to the end.

    Raises:
        ValueError: The text has no `<gen>` part, so there is nothing to draw from.
    """
    instruction = re.search(r"<gen>(.*?)(</gen>|$)", text, re.DOTALL)
    if not instruction or not instruction[1].strip():
        raise ValueError(
            f"the reasoning text has no <gen> part: {text[:80]!r}; expected <think>...</think> <gen>...</gen>"
        )

    # A model may forget to close its thoughts, so they end where the instruction begins.
    thinking = re.search(r"<think>(.*?)(</think>|<gen>|$)", text, re.DOTALL)
    return (thinking[1].strip() if thinking else ""), instruction[1].strip()


def _fields(fields: list[tuple[str, str]]) -> str:
    """Labelled paragraphs of the texts that are not empty."""
    return "\n\n".join(f"{label}: {text}" for label, text in fields if text)
