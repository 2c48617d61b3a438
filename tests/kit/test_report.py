"""The page with the verdict on a kit: what must be mended first, harmless, and readable without a network."""

from pathlib import Path

from factories_kit import make_kit

from unichar.kit.checks import CHECKS
from unichar.kit.config import KitConfig
from unichar.kit.report import validation_html
from unichar.kit.validate import inspect


def page_of(folder: Path) -> str:
    return validation_html(inspect(folder, KitConfig()))


def test_the_page_needs_no_network_and_escapes_what_the_kit_says(tmp_path: Path) -> None:
    page = page_of(make_kit(tmp_path, category="<script>alert(1)</script>{{ 7*7 }}{% raw %}"))
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "{{ 7*7 }}{% raw %}" in page
    assert "http:" not in page and "https:" not in page and "url(" not in page
    assert "default-src 'none'" in page


def test_what_must_be_mended_stands_first_and_says_how(tmp_path: Path) -> None:
    page = page_of(make_kit(tmp_path, category="plant"))
    body = page.split("<tbody>")[1]
    assert body.index(">failed<") < body.index(">passed<")
    hint = next(check.hint for check in CHECKS if check.name == "texts_filled")
    assert hint in body and "15 checks: 1 failed, 0 warnings." in page


def test_a_good_kit_has_every_check_and_nothing_to_mend(tmp_path: Path) -> None:
    page = page_of(make_kit(tmp_path))
    assert page.count('<span class="badge passed">passed</span>') == len(CHECKS) + 1
    assert "badge failed" not in page and all(check.name in page for check in CHECKS)
