"""Equal content gives equal fingerprints; comments, docstrings and layout do not count."""

import sys
from pathlib import Path

import pytest

from unichar.store.fingerprint import bare_source, canonical, code_version, fingerprint, sources

ONE = '''"""A package."""

# why
SIZE = 3  # words


class Config:
    """Settings."""

    steps: int = 1
    """How many."""


def run(job):
    """Do it."""
    text = """a
    # not a comment

    b"""
    return (job,
            text)
'''

BANK = """\
# Friendly.
signs: [kind, warm]
replies:
  greeting:
    - "Hello!"
    - "Hi, {name}."
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an importable package `house` with a sub-package, a data folder and a template folder."""
    files = {
        "__init__.py": "",
        "a.py": "x = 1\n",
        "inner/__init__.py": "",
        "inner/b.py": "x = 1\n",
        "inner/inner.yaml": "x: 1\n",
        "phrases/plain.yaml": BANK,
        "templates/page.html.j2": "<p>{{ text }}</p>\n",
        "notes.md": "not data\n",
    }
    for name, text in files.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path / "house"


def version_of(*packages: str) -> str:
    """`code_version` without its cache."""
    return code_version.__wrapped__(packages)


def test_order_does_not_matter_and_values_do() -> None:
    assert fingerprint({"a": 1, "b": [1.5, "ü"]}) == fingerprint({"b": (1.5, "ü"), "a": 1})
    assert len({fingerprint({"a": value}) for value in (1, 1.0, "1", None, [1], True)}) == 6
    assert len(fingerprint({})) == 16
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint({"lr": float("nan")})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# why\n", "# because\n# of this\n"),
        ("  # words", ""),
        ('"""A package."""\n', ""),
        ('    """How many."""\n', '    """How many steps, at least 1."""\n'),
        ('    """Do it."""\n', ""),
        ("(job,\n            text)", "(job, text)"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(old: str, new: str) -> None:
    assert old in ONE
    assert bare_source(ONE.replace(old, new)) == bare_source(ONE)


@pytest.mark.parametrize(
    ("old", "new"), [("SIZE = 3", "SIZE = 4"), ("# not a comment", "# still none"), ("job,", "job, 1,")]
)
def test_a_change_of_behaviour_counts(old: str, new: str) -> None:
    assert bare_source(ONE.replace(old, new)) != bare_source(ONE)


def test_a_function_that_is_only_a_docstring_stays_a_function() -> None:
    assert bare_source('def f():\n    """Nothing."""') == "def f():\n    pass"


def test_a_package_is_its_own_files_and_a_module_is_one(package: Path) -> None:
    names = [path.relative_to(package).as_posix() for path in sources("house")]
    assert names == ["__init__.py", "a.py", "phrases/plain.yaml", "templates/page.html.j2"]
    assert [path.name for path in sources("house.a")] == ["a.py"]
    assert [path.name for path in sources("house.inner")] == ["__init__.py", "b.py", "inner.yaml"]

    with pytest.raises(ValueError, match=r"no package or module house\.attic"):
        sources("house.attic")


def test_a_change_in_a_sub_package_counts_for_the_sub_package_only(package: Path) -> None:
    alone, both = version_of("house"), version_of("house", "house.inner")
    (package / "inner" / "b.py").write_text("x = 2\n")
    assert version_of("house") == alone
    assert version_of("house", "house.inner") != both


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Friendly.\n", "# Friendly, and\n# nothing else.\n\n"),
        ("[kind, warm]", "\n  - kind\n  - warm"),
        ('"Hello!"', "Hello!  # the short one"),
        ("    - ", "  - "),
    ],
)
def test_comments_and_layout_of_yaml_do_not_count(package: Path, old: str, new: str) -> None:
    assert old in BANK
    before = version_of("house")
    (package / "phrases" / "plain.yaml").write_text(BANK.replace(old, new))
    assert version_of("house") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Hello!", "Hello."),
        ("[kind, warm]", "[warm, kind]"),  # a random draw depends on the order
        ("kind, warm", "kind, 3"),
        ('    - "Hi, {name}."\n', ""),
    ],
)
def test_a_changed_yaml_value_counts(package: Path, old: str, new: str) -> None:
    assert old in BANK
    before = version_of("house")
    (package / "phrases" / "plain.yaml").write_text(BANK.replace(old, new))
    assert version_of("house") != before


def test_every_character_of_a_template_counts(package: Path) -> None:
    before = version_of("house")
    (package / "templates" / "page.html.j2").write_text("<p>{{  text }}</p>\n")
    assert version_of("house") != before


def test_a_renamed_data_file_counts(package: Path) -> None:
    before = version_of("house")
    (package / "phrases" / "plain.yaml").rename(package / "phrases" / "simple.yaml")
    assert version_of("house") != before


def test_broken_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("signs: [kind\n")
    with pytest.raises(ValueError, match=r"broken\.yaml is not valid YAML"):
        canonical(path)


def test_the_phrase_banks_count_for_the_stage_that_reads_them() -> None:
    names = {path.name for path in sources("unichar.interactions")}
    assert {"synthesize.py", "user_texts.yaml", "bold.yaml", "plain.yaml"} <= names
