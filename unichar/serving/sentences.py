"""Replies that end at a sentence, although the model may have run into its token limit in the middle of one.

No torch.
"""

import re

_ENDS = ".!?…‼⁇⁈⁉؟۔।॥።。！？．｡"
"""Punctuation that ends a sentence: Latin, Arabic, Devanagari, Ethiopic, Chinese and Japanese."""
_CLOSERS = "\"'”’»›)\\]*_」』）】"
"""What may stand between such a mark and the next sentence: closing quotes, brackets and emphasis."""
_ABBREVIATIONS = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)"

# A mark of a script with spaces ends a sentence only before a space ("3.14"); a full-width mark ends one
# anywhere.
_SENTENCE_END = re.compile(rf"(?:{_ABBREVIATIONS}[{_ENDS}]+[{_CLOSERS}]*(?=\s|$)|[。！？｡]+[{_CLOSERS}]*)")


def ends_at_a_sentence(text: str) -> bool:
    """Whether the last character of `text` ends a sentence.

    Example: `ends_at_a_sentence('"Never!"')`
    """
    # Abbreviations are not looked for: at the very end their full stop ends the sentence too.
    return bool(re.search(rf"[{_ENDS}][{_CLOSERS}]*$", text.rstrip()))


def up_to_the_last_sentence(text: str) -> str:
    """`text` without the sentence that is cut off at its end; an ellipsis marks the cut when there is no
    other sentence.

    Example: `up_to_the_last_sentence("In this fur? Never. The water is")` is "In this fur? Never."
    """
    # The last end of a sentence; what follows it is the sentence that was cut off.
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    if ends:
        return text[: ends[-1]].rstrip()

    # No sentence is complete, so what there is of the first one stays.
    return f"{text.rstrip(' ,;:-–—')}…" if text.strip() else text
