"""Replies that end at a sentence, although the model reached its token limit within one. No torch."""

import re

_ENDS = ".!?…‼⁇⁈⁉؟۔।॥።。！？．｡"
"""Punctuation that ends a sentence: Latin, Arabic, Devanagari, Ethiopic, Chinese and Japanese."""
_CLOSERS = "\"'”’»›)\\]*_」』）】"
"""What may follow it before the next sentence: closing quotes, brackets and emphasis."""
_ABBREVIATIONS = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)"

# In scripts with spaces a sentence ends only before a space ("3.14"); full-width punctuation ends one
# anywhere.
_SENTENCE_END = re.compile(rf"(?:{_ABBREVIATIONS}[{_ENDS}]+[{_CLOSERS}]*(?=\s|$)|[。！？｡]+[{_CLOSERS}]*)")


def ends_at_a_sentence(text: str) -> bool:
    """Whether the last character of `text` ends a sentence.

    Example: `ends_at_a_sentence('"Never!"')`
    """
    # Abbreviations are not looked for: at the very end their full stop ends the sentence too.
    return bool(re.search(rf"[{_ENDS}][{_CLOSERS}]*$", text.rstrip()))


def up_to_the_last_sentence(text: str) -> str:
    """`text` without the sentence that is cut off at its end; with an ellipsis if it is the only one.

    Example: `up_to_the_last_sentence("In this fur? Never. The water is")` is "In this fur? Never."
    """
    # The last end of a sentence; what follows it is the sentence that was cut off.
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if ends:
        return text[: ends[-1]].rstrip()

    # No sentence is complete, so what there is of the first one stays.
    return f"{text.rstrip(' ,;:-–—')}…" if text.strip() else text
