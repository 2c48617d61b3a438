"""`preview.md`: a few items of each kind, to be read by a person before anything is trained on them."""

import html
import re

from unichar.types import Interaction

_SHOWN = 4


def preview(title: str, items: list[Interaction]) -> str:
    """Markdown: for each split and kind the first items of every form, with all text from the kit escaped."""
    lines = [f"# {_escaped(title)}", ""]
    for split in ("train", "test"):
        for kind in dict.fromkeys(item.kind for item in items):
            chosen = [item for item in items if (item.split, item.kind) == (split, kind)]
            lines += [f"## {kind}, {split}: {len(chosen)} items", ""] if chosen else []
            for form in dict.fromkeys(item.form for item in chosen):
                lines += _shown([item for item in chosen if item.form == form][:_SHOWN])
    return "\n".join(lines)


def _shown(items: list[Interaction]) -> list[str]:
    lines = []
    for item in items:
        lines.append(f"**{item.id}** ({_escaped(item.form)}, {_escaped(item.group)})")
        lines.append("")
        for segment in item.segments:
            text = f"[{segment.value}]" if segment.type == "image" else segment.value
            lines.append(f"- {segment.role}{' (learned)' if segment.loss else ''}: {_escaped(text)}")
        if item.options:
            lines.append(f"- options, the right one first: {_escaped(' / '.join(item.options))}")
        lines.append("")
    return lines


def _escaped(text: str) -> str:
    """Text that shows as itself in markdown, on one line."""
    one_line = re.sub(r"\s*\n\s*", " ⏎ ", text.strip())
    return re.sub(r"([\\`*_{}\[\]()#+\-!|~>])", r"\\\1", html.escape(one_line, quote=False))
