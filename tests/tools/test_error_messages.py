"""The page of error messages is read from the source, so that none is forgotten."""

import ast
import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("error_messages", ROOT / "tools" / "error_messages.py")
assert SPEC is not None and SPEC.loader is not None
error_messages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(error_messages)

SOURCE = """
class KitError(UserError): ...
class Deeper(KitError): ...
class Internal(ValueError): ...

def check(path, kit):
    raise Deeper(f"{path} has {len(kit.scenes)} scenes; " f"expected {kit.number:d}: add some")
    raise Internal("never shown")
    raise KitError(str(kit))
"""


def test_only_errors_for_users_are_listed_with_names_for_what_is_filled_in() -> None:
    tree = ast.parse(SOURCE)
    errors = error_messages.user_errors({"unichar/kit/x.py": tree})
    assert errors == {"UserError", "KitError", "Deeper"}
    found = list(error_messages.raised(tree, errors))
    assert found == [(7, "Deeper", "‹path› has ‹len› scenes; expected ‹number›: add some")]


def test_the_page_has_a_section_for_each_package_and_nothing_that_breaks_a_table() -> None:
    page = error_messages.page(ROOT)
    assert "## kit" in page and "## store" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`unichar/" in line]
    assert len(rows) > 50
    assert {line.replace("\\|", "").count("|") for line in rows} == {4}
    assert not any("<" in line for line in rows)
