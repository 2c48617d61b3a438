"""One spelling for comparing texts."""

import re
import unicodedata


def bare(text: str) -> str:
    """A text without case, punctuation and spacing: `You’re  late!` and `"YOU'RE LATE"` are the same thing said."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", re.sub(r"['’‘]", "", plain)))
