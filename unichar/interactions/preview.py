"""`preview.md`: a few items of each kind, to be read by a person before anything is trained on them."""

import html
import re

from unichar.types import Interaction

_ITEMS_PER_FORM = 4


def preview(title: str, items: list[Interaction]) -> str:
    """Markdown: for each split and kind the first items of every form, with all text from the kit escaped."""
    lines = [f"# {_escaped(title)}", ""]
    for split in ("train", "test"):
        # `dict.fromkeys` keeps the order of the items, where a set would not.
        for kind in dict.fromkeys(item.kind for item in items):
            of_kind = [item for item in items if (item.split, item.kind) == (split, kind)]
            if not of_kind:
                continue

            lines += [f"## {kind}, {split}: {len(of_kind)} items", ""]
            for form in dict.fromkeys(item.form for item in of_kind):
                of_form = [item for item in of_kind if item.form == form]
                # The first few are enough to see what a form is like.
                for item in of_form[:_ITEMS_PER_FORM]:
                    lines += _item_lines(item)
    return "\n".join(lines)


def _item_lines(item: Interaction) -> list[str]:
    """One item as Markdown: its name, a line for each segment and one for the options."""
    lines = [f"**{item.id}** ({_escaped(item.form)}, {_escaped(item.group)})", ""]
    for segment in item.segments:
        # A picture is shown as its path: the file lies in the curated kit, not beside this page.
        text = f"[{segment.value}]" if segment.type == "image" else segment.value
        learned = " (learned)" if segment.loss else ""
        lines.append(f"- {segment.role}{learned}: {_escaped(text)}")

    if item.options:
        lines.append(f"- options, the right one first: {_escaped(' / '.join(item.options))}")
    return [*lines, ""]


def _escaped(text: str) -> str:
    """`text` on one line, such that Markdown shows it as it is."""
    # Texts of a kit are untrusted: neither HTML nor Markdown in them may take effect.
    one_line = re.sub(r"\s*\n\s*", " ⏎ ", text.strip())
    return re.sub(r"([\\`*_{}\[\]()#+\-!|~>])", r"\\\1", html.escape(one_line, quote=False))
