"""The same reasons give the same fingerprint; a better comment is no reason."""

import sys
from pathlib import Path

import pytest

from unichar.store.fingerprint import bare_source, code_version, fingerprint, sources

ONE = '''"""A room."""

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
        ('"""A room."""\n', ""),
        ('    """How many."""\n', '    """How many steps, at least 1."""\n'),
        ('    """Do it."""\n', ""),
        ("(job,\n            text)", "(job, text)"),
    ],
)
def test_words_and_layout_change_nothing(old: str, new: str) -> None:
    assert old in ONE
    assert bare_source(ONE.replace(old, new)) == bare_source(ONE)


@pytest.mark.parametrize(
    ("old", "new"), [("SIZE = 3", "SIZE = 4"), ("# not a comment", "# still none"), ("job,", "job, 1,")]
)
def test_what_the_code_does_changes_it(old: str, new: str) -> None:
    assert bare_source(ONE.replace(old, new)) != bare_source(ONE)


def test_a_function_of_words_only_stays_a_function() -> None:
    assert bare_source('def f():\n    """Nothing."""') == "def f():\n    pass"


def test_a_room_is_its_own_files_and_a_module_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "house" / "inner").mkdir(parents=True)
    for name in ("__init__.py", "a.py", "inner/__init__.py", "inner/b.py"):
        (tmp_path / "house" / name).write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "house", raising=False)
    assert [path.name for path in sources("house")] == ["__init__.py", "a.py"]
    assert [path.name for path in sources("house.a")] == ["a.py"]
    before = code_version(("house", "house.inner"))
    code_version.cache_clear()
    (tmp_path / "house" / "inner" / "b.py").write_text("x = 2\n")
    assert code_version(("house", "house.inner")) != before
    with pytest.raises(ValueError, match=r"no package or module house\.attic"):
        sources("house.attic")
