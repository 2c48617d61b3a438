"""Every error message a user can meet, read from the source: what the site's page of messages is made of.

python tools/error_messages.py > messages.md
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

_BUILT_IN = {"FileNotFoundError", "OSError", "Failure"}
"""Errors that are not ours and are shown to users all the same; `Failure` is Dagster's."""

_HEAD = """# Every error message

Read from the source when this site is built. `‹name›` stands for what the message fills in. Each message says
how to mend what it is about; situations that need more words are under [Troubleshooting](troubleshooting.md).
Errors that are not listed are defects and show a traceback.
"""


def main() -> int:
    """Print the page."""
    print(page(ROOT))
    return 0


def page(root: Path) -> str:
    """The page of messages, a section for each package."""
    paths = [
        path for folder in ("unichar", "orchestration") for path in sorted((root / folder).rglob("*.py"))
    ]
    trees = {path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    errors = user_errors(trees)

    sections: dict[str, list[str]] = {}
    for name, tree in trees.items():
        for line, error, message in raised(tree, errors):
            text = message.replace("|", "\\|").replace("<", "&lt;").replace("{", "&#123;")
            sections.setdefault(package(name), []).append(f"| {text} | {error} | `{name}:{line}` |")

    lines = [_HEAD]
    for section, rows in sorted(sections.items()):
        lines += [f"## {section}", "", "| message | error | raised in |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def user_errors(trees: dict[str, ast.Module]) -> set[str]:
    """Names of all classes that go back to `UserError`."""
    bases: dict[str, set[str]] = {}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {ast.unparse(base).rpartition(".")[2] for base in node.bases}

    found = {"UserError"}
    while True:
        more = {name for name, parents in bases.items() if parents & found} - found
        if not more:
            return found
        found |= more


def raised(tree: ast.Module, errors: set[str]) -> Iterator[tuple[int, str, str]]:
    """(line, error, message) of every `raise` of such an error with words of its own."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
            continue

        error = ast.unparse(node.exc.func).rpartition(".")[2]
        words = [text for argument in node.exc.args if (text := literal(argument))]
        if error in errors | _BUILT_IN and words:
            yield node.lineno, error, " ".join(words)


def literal(node: ast.expr) -> str:
    """The words of a string or f-string, with `‹name›` for what is filled in; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal(node.left) + literal(node.right)
    if not isinstance(node, ast.JoinedStr):
        return ""

    words = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            words.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            names = [
                inner.attr if isinstance(inner, ast.Attribute) else inner.id for inner in _names(part.value)
            ]
            words.append(f"‹{names[0] if names else 'value'}›")
    return "".join(words)


def _names(node: ast.expr) -> list[ast.Attribute | ast.Name]:
    return [inner for inner in ast.walk(node) if isinstance(inner, ast.Attribute | ast.Name)]


def package(name: str) -> str:
    """`unichar/kit/checks.py` is in `kit`; a module at the root is its own."""
    parts = Path(name).with_suffix("").parts
    return parts[0] if parts[0] != "unichar" else parts[1]


if __name__ == "__main__":
    sys.exit(main())
