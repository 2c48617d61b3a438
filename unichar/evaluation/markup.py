"""HTML and SVG, escaped by default: `element("p", text)` escapes `text`, only another `element` goes in as it is.

    element("img", src=uri, alt=caption)
    element("td", element("b", name), " of ", kit_text, class_="wide")

Names of kits and words of models go through here and nowhere else, so none can break out of its place. No torch.
"""

import html
import re

_VOID = ("img", "meta")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Markup(str):
    """Text that is markup already. Made by `element`, `join` and for fixed text of our own."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | float) -> Markup:
    """One element. `class_` is written `class`, `stroke_width` is written `stroke-width`; numbers get at most two decimals."""
    opening = "".join(f' {_attribute(key)}="{escape(_number(value))}"' for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{opening}>")
    return Markup(f"<{name}{opening}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Pieces one after the other, those that are no markup escaped."""
    return Markup("".join(escape(child) for child in children))


def escape(text: str) -> Markup:
    """Text as markup. Control characters, those that turn the direction of writing, and broken Unicode become question marks."""
    if isinstance(text, Markup):
        return text
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return Markup(html.escape(_CONTROL.sub("?", whole)))


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
