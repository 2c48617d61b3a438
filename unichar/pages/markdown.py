"""Foreign text inside markdown: shown as it is, never read as markup. No torch."""

import html
import re

_MARKUP = re.compile(r"([\\`*{}\[\]#!|~:@]|(?<=\])\(|(?<![^\W_])_|_(?![^\W_]))")
"""Characters that mean something anywhere in a line; `:` and `@`, since some viewers link addresses.

Underscores inside a word and parentheses that do not follow a bracket mean nothing and stay readable.
"""
_START = re.compile(r"^(\d*)([-+.=)])|(www)(\.)")
"""Beginnings of lists, rules and headings, and links that some viewers make."""


def escape_markdown(text: str) -> str:
    """`text` on one line of markdown, shown as it is: no markup, no HTML, no link.

    Example: `escape_markdown("1. *x*")` is `1\\\\. \\\\*x\\\\*`.
    """
    # Only a line's beginning can start a list or a heading, so one line is checked once.
    # Quotes mean nothing outside of attributes and stay readable.
    one_line = html.escape(" ".join(text.split()), quote=False)
    escaped = _MARKUP.sub(r"\\\1", one_line)
    return _START.sub(r"\1\3\\\2\4", escaped)
