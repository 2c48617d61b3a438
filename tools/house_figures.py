"""Figures about the code itself: size, density, words, layers. For any checkout, so that two can be compared.

python tools/house_figures.py                      # this checkout, as a table
python tools/house_figures.py /tmp/before . --json # several, as JSON
"""

import argparse
import ast
import itertools
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

SOURCES = ("unichar", "orchestration")

WORDS = {
    "eye, eyes (not a toon's)": r"\b[Ee]yes?\b|\w+_eye\b|\b\w+Eye\b",
    "examiner": r"\b[Ee]xaminers?\b|\b[Ee]xamination\w*",
    "panel": r"\b_?[Pp]anels?\b",
    "chosen (judges)": r"\bChosen\b|\bself\.chosen\b",
    "wanted": r"\b_?wanted\w*",
    "band": r"\b_?band\b|\bIdentityBand\b",
    "watch, look": r"\b_?[Ww]atch(?:es|ed|ing|_\w+)?\b|\b_?looks?\b",
    "stranger": r"\b_?[Ss]trangers?\b",
    "shares, filler": r"\b_?shares?\b|\bfillers?\b",
    "join, announce, crew": r"\bannounce\w*|\b[Cc]rew\b|(?<![.\w\"'])join\(",
    "lesson, instructive, practise": r"\b[Ll]essons?\b|\binstructive\b|\bpractis\w+",
    "follow (EMA), in_place": r"\.follow\(|\bin_place\b",
    "walk, manner, leash, tally": r"\b[Ww]alks?\b|\bManners?\b|\bleash\b|\b[Tt]ally\b",
    "moment": r"\b_?[Mm]oments?\b",
    "chain": r"\bChains?\b|\bchains?\b",
    "voice, hear, temperament": r"\b[Vv]oices?\b|\bhear\b|\b_?[Tt]emperaments?\b",
    "truth": r"\b_?truth\b",
    "crown, champion": r"\bcrown\w*|\b_?champions?\b",
    "marks": r"\b_?marks?\b|\bMarker\b",
    "house, room": r"\brooms?\b|\bhouse\b",
}
"""Word of the old vocabulary -> what counts as a hit. Lines that seed random numbers are left out."""

_EXEMPT = re.compile(r"derive\(|_rng\(|pytest\.mark|CHAMPION\.json|get_dynamic")
_TOON_FILES = ("domains/toon", "toons/")

_LAYERS = re.compile(r"^LAYERS = (\(.*?^\))", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Print the figures of each checkout."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("roots", nargs="*", type=Path, default=[Path(__file__).parents[1]])
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--where", action="store_true", help="also list every hit of an old word and every dense function"
    )
    options = parser.parse_args()

    found = {str(root): figures(root) for root in options.roots}
    if options.json:
        print(json.dumps(found, indent=1))
        return 0

    for name in next(iter(found.values()))["figures"]:
        values = [str(each["figures"][name]) for each in found.values()]
        print(f"{name:<58}" + "".join(f"{value:>16}" for value in values))
    if options.where:
        for each in found.values():
            print("\n".join(each["hits"] + each["dense"]))
    return 0


def figures(root: Path) -> dict[str, Any]:
    """`figures` (name -> value) of one checkout, and a line for each of its `hits` and `dense` functions."""
    paths = [path for source in SOURCES for path in sorted((root / source).rglob("*.py"))]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}

    size = _size(texts)
    hits = {word: _hits(texts, pattern) for word, pattern in WORDS.items()}
    arrows, back = _arrows(root, texts)
    asking = [name for name, text in texts.items() if "is_toon_world" in text and "domains/" not in name]
    tested, modules = _tested(root, texts)

    numbers = {
        **size["figures"],
        "modules with a test of their name": f"{tested}/{modules} ({100 * tested / modules:.0f} %)",
        "arrows between packages": len(arrows),
        "back arrows": len(back),
        "files that ask is_toon_world outside domains/": len(asking),
        **{f"hits: {word}": len(lines) for word, lines in hits.items()},
        "hits of old words": sum(map(len, hits.values())),
    }
    return {
        "figures": numbers,
        "hits": [line for lines in hits.values() for line in lines],
        "dense": size["dense"],
    }


def _size(texts: dict[str, str]) -> dict[str, Any]:
    """Lines, functions, comments and air."""
    total = code = comments = trailing = long = 0
    lengths: list[int] = []
    large, dense = 0, []

    for name, text in texts.items():
        lines = text.splitlines()
        total += len(lines)
        code += sum(bool(line.strip()) for line in lines)
        comments += sum(line.strip().startswith("#") for line in lines)
        trailing += sum("  # " in line for line in lines)
        long += sum(len(line) > 110 for line in lines)

        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
                continue
            lengths.append(_code_lines(node, lines))
            if node.end_lineno - node.lineno >= 10:
                large += 1
                first = node.body[1:] or node.body if ast.get_docstring(node) else node.body
                body = lines[first[0].lineno - 1 : node.end_lineno]
                if all(line.strip() for line in body):
                    dense.append(f"dense: {name}:{node.lineno} {node.name}")

    small = sum(length <= 40 for length in lengths)
    return {
        "figures": {
            "files": len(texts),
            "lines": total,
            "functions": len(lengths),
            "functions of at most 40 code lines": f"{100 * small / len(lengths):.1f} %",
            "longest function, code lines": max(lengths),
            "comment lines per 100 code lines": round(100 * comments / code, 1),
            "  with comments at the end of lines": round(100 * (comments + trailing) / code, 1),
            "functions of ten lines and more without a blank line": f"{100 * len(dense) / large:.0f} %",
            "lines over 110": long,
        },
        "dense": dense,
    }


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    """Lines of a function that are neither blank, nor comment, nor docstring."""
    assert node.end_lineno is not None
    words = set()
    for inside in ast.walk(node):
        is_text = isinstance(inside, ast.Expr) and isinstance(inside.value, ast.Constant)
        if is_text and isinstance(inside.value.value, str) and inside.end_lineno is not None:
            words |= set(range(inside.lineno, inside.end_lineno + 1))
    numbers = range(node.lineno, node.end_lineno + 1)
    return sum(
        bool(lines[n - 1].strip()) and not lines[n - 1].strip().startswith("#") and n not in words
        for n in numbers
    )


def _hits(texts: dict[str, str], pattern: str) -> list[str]:
    found, compiled = [], re.compile(pattern)
    for name, text in texts.items():
        if any(part in name for part in _TOON_FILES) and "ye" in pattern:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if not _EXEMPT.search(line):
                found += [f"word: {name}:{number} {match}" for match in compiled.findall(line)]
    return found


def _tested(root: Path, texts: dict[str, str]) -> tuple[int, int]:
    """(modules with a test file of their name somewhere under tests/, modules with code)"""
    names = {path.stem.removeprefix("test_") for path in (root / "tests").rglob("test_*.py")}
    modules = [
        Path(name) for name, text in texts.items() if text.strip() and not name.endswith("__init__.py")
    ]
    return sum(path.stem.strip("_") in names for path in modules), len(modules)


def _arrows(root: Path, texts: dict[str, str]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(imports between packages, those that run against the layers).

    The layers are those of `tests/test_boundaries.py`; a checkout that has none is ordered so that few arrows
    run back.
    """
    arrows = set()
    for name, text in texts.items():
        own = _package(name.removesuffix(".py").replace("/", "."))
        for node in ast.walk(ast.parse(text)):
            used = []
            if isinstance(node, ast.ImportFrom) and node.module:
                used = (
                    [node.module]
                    if "." in node.module
                    else [f"{node.module}.{alias.name}" for alias in node.names]
                )
            for module in used:
                if module.split(".")[0] in SOURCES and _package(module) != own:
                    arrows.add((own, _package(module)))

    found = _LAYERS.search((root / "tests" / "test_boundaries.py").read_text(encoding="utf-8"))
    if found is None:
        return arrows, _feedback(arrows)
    level = {name: number for number, layer in enumerate(ast.literal_eval(found.group(1))) for name in layer}
    top = len(level)
    back = {(a, b) for a, b in arrows if level.get(b, top) >= level.get(a, top) and b != "orchestration"}
    return arrows, {arrow for arrow in back if "orchestration" not in arrow}


def _package(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "unichar" and len(parts) > 1 else parts[0]


def _feedback(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Arrows that run back in a good order: packages that import nothing more come first."""
    below = defaultdict(set)
    for a, b in arrows:
        below[a].add(b)
    names = set(itertools.chain.from_iterable(arrows))
    order: list[str] = []
    while names:
        best = min(sorted(names), key=lambda name: len(below[name] & names - {name}))
        order.append(best)
        names.discard(best)
    place = {name: number for number, name in enumerate(order)}
    return {(a, b) for a, b in arrows if place[b] > place[a]}


if __name__ == "__main__":
    sys.exit(main())
