"""Fingerprints: the same verb, code, settings, seed, inputs and base give the same 16 hex digits, so nothing runs twice.

An output is found by what it was made *from*, because two trainings of one recipe differ in their last bits on a GPU. What
deterministic stages make is passed on by *content*: a curated kit that comes out the same retrains nobody.
"""

import ast
import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def fingerprint(key: dict[str, Any]) -> str:
    """16 hex digits of a JSON value.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_version(packages: tuple[str, ...]) -> str:
    """16 hex digits of what the Python files of `rooms` do.

    A room is a package (its own files, not its sub-packages) or a module, as `unichar.sft` or `unichar.types`. Comments,
    docstrings and layout are left out: better words must not retrain a hundred characters.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        for path in sources(package):
            digest.update(
                f"{package}/{path.name}\n{bare_source(path.read_text(encoding='utf-8'))}\n".encode()
            )
    return digest.hexdigest()[:16]


def sources(room: str) -> list[Path]:
    """The Python files of a package (not of its sub-packages), or the one file of a module.

    Raises:
        ValueError: There is no such package or module.
    """
    spec = find_spec(room)
    if spec is None or spec.origin is None:
        raise ValueError(
            f"there is no package or module {room}; correct the row of the stage table in unichar/store/store.py"
        )
    origin = Path(spec.origin)
    return sorted(origin.parent.glob("*.py")) if origin.name == "__init__.py" else [origin]


def bare_source(text: str) -> str:
    """A source text in one spelling: without comments, docstrings (also those under fields) and the author's line breaks."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_words(statement)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_words(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
