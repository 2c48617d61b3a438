"""Fingerprints: equal verb, code, settings, seed, inputs and base give equal 16 hex digits, so nothing runs
twice.

An output is found by what it was made *from*, because two trainings of one recipe differ in their last bits
on a GPU. The outputs of deterministic stages are passed on by *content*: a curated kit that comes out the
same does not retrain its character.
"""

import ast
import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

DATA_SUFFIXES = (".yaml", ".j2")
"""Data files of a package whose content counts like its code: tables of texts and templates of pages."""

_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML has it: eight times faster, and every command computes code versions."""


def fingerprint(key: dict[str, Any]) -> str:
    """16 hex digits of a JSON value.

    Raises:
        ValueError: A number in it is NaN or infinite.
    """
    # One spelling per value, so that equal values give equal digits.
    text = json.dumps(key, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_version(packages: tuple[str, ...]) -> str:
    """16 hex digits of what the source and data files of `packages` mean.

    An entry is a package (its own files, not its sub-packages) or a module, as `unichar.sft` or
    `unichar.types`. Comments, docstrings and layout are left out, in Python and in YAML: a better comment
    must not retrain a hundred characters.

    Raises:
        ValueError: There is no such package or module, or a YAML file cannot be parsed.
    """
    digest = hashlib.sha256()

    for package in sorted(packages):
        paths = sources(package)
        folder = paths[0].parent

        for path in paths:
            # A file in a data folder counts under its relative path, so that a move changes the version too.
            name = path.relative_to(folder).as_posix()
            digest.update(f"{package}/{name}\n{canonical(path)}\n".encode())

    return digest.hexdigest()[:16]


def sources(package: str) -> list[Path]:
    """The files that decide what a package does: Python files, then data files. Of a module: its one file.

    Data files (`DATA_SUFFIXES`) are searched in the package's folder and in all folders below it that are not
    packages themselves (have no `__init__.py`), as `templates/`. A module has no data files: a stage whose
    module reads data must list the package.

    Raises:
        ValueError: There is no such package or module.
    """
    # Found without importing it: nothing of a stage is loaded to compute its version.
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(
            f"there is no package or module {package}; correct the stage's row in unichar/stages.py"
        )

    # A module stands for itself, a package for its own files but not for its sub-packages.
    origin = Path(spec.origin)
    if origin.name != "__init__.py":
        return [origin]
    return sorted(origin.parent.glob("*.py")) + _data_files(origin.parent)


def canonical(path: Path) -> str:
    """The text of a source or data file that is hashed: one spelling for all layouts of the same content.

    Python loses comments and docstrings (`bare_source`). YAML becomes JSON of its parsed value; keys keep the
    file's order, since the order of a table may decide random draws. Any other file is taken as it is.

    Raises:
        ValueError: A YAML file cannot be parsed.
    """
    # A template is taken as it is, since its layout is part of the page.
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return bare_source(text)
    if path.suffix != ".yaml":
        return text

    try:
        return json.dumps(yaml.load(text, Loader=_YAML_LOADER), ensure_ascii=False, default=str)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}; correct the file") from error


def bare_source(text: str) -> str:
    """A Python source in one spelling: without comments, docstrings (also those under fields) and line
    breaks.
    """
    # Parsing drops comments and line breaks; docstrings are statements and are removed by hand.
    tree = ast.parse(text)

    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # A body may not be empty, so one that held nothing but a docstring becomes `pass`.
            node.body = [statement for statement in node.body if not _is_docstring(statement)] or [ast.Pass()]

    return ast.unparse(tree)


def _data_files(folder: Path) -> list[Path]:
    """Data files in a folder and in its sub-folders that are no packages, sorted by path."""
    # Sub-packages are left out: a stage that uses one lists it.
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not (path / "__init__.py").exists():
            found += _data_files(path)
        elif path.suffix in DATA_SUFFIXES:
            found.append(path)
    return found


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
