"""What the tool counts, on a tree small enough to count by hand."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("house_figures", ROOT / "tools" / "house_figures.py")
assert SPEC is not None and SPEC.loader is not None
house_figures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(house_figures)

DENSE = "def f(eye):\n" + "".join(f"    x{i} = {i}\n" for i in range(10)) + "    return eye\n"
AIRY = DENSE.replace("    x5", "\n    # five, because it is the middle\n    x5").replace("eye", "encoder")


def make_tree(folder: Path, source: str) -> Path:
    """A checkout with one package, one test and layers."""
    files = {
        "unichar/judges/one.py": source,
        "unichar/store/two.py": "from unichar.judges.one import f\n",
        "orchestration/three.py": "from unichar.store import two\n",
        "tests/test_boundaries.py": 'LAYERS = (\n    ("store",),\n    ("judges",),\n)\n',
        "tests/judges/test_one.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_density_words_tests_and_layers_are_counted(tmp_path: Path) -> None:
    found = house_figures.figures(make_tree(tmp_path, DENSE))
    numbers = found["figures"]
    assert numbers["functions of ten lines and more without a blank line"] == "100 %"
    assert numbers["hits: eye, eyes (not a toon's)"] == 2
    assert numbers["modules with a test of their name"] == "1/3 (33 %)"
    assert (numbers["arrows between packages"], numbers["back arrows"]) == (2, 1)
    assert found["dense"] == ["dense: unichar/judges/one.py:1 f"]


def test_a_blank_line_and_a_comment_count(tmp_path: Path) -> None:
    numbers = house_figures.figures(make_tree(tmp_path, AIRY))["figures"]
    assert numbers["functions of ten lines and more without a blank line"] == "0 %"
    assert numbers["comment lines per 100 code lines"] > 5
    assert numbers["hits of old words"] == 0
