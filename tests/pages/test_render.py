"""Templates escape what they print, refuse what they were not given, and load nothing from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import DictLoader, TemplateNotFound, UndefinedError
from markupsafe import Markup

from unichar.pages import render

TEMPLATES = sorted(Path(render.__file__).parents[1].rglob("*.j2"))
HOSTILE = [
    "<script>alert(1)</script>",
    "</style></title>",
    "a & b",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "{{ 7*7 }}",
    "{% raw %}{% include 'pages/templates/base.html.j2' %}",
    "{# gone #}",
]


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A dictionary of templates that both environments read, instead of the package's files."""
    templates: dict[str, str] = {}
    for environment in (render._HTML, render._MARKDOWN):
        monkeypatch.setattr(environment, "loader", DictLoader(templates))
    yield templates


@pytest.mark.parametrize("hostile", HOSTILE)
def test_printed_text_never_becomes_markup_or_template_code(template: dict[str, str], hostile: str) -> None:
    template["t"] = "<b>{{ text }}</b>"
    shown = render.render_html("t", text=hostile)
    assert "<" not in shown[3:-4] and "49" not in shown
    assert Markup(shown[3:-4]).unescape() == hostile


@pytest.mark.parametrize("quote", ["'", '"'])
def test_attributes_cannot_be_left(template: dict[str, str], quote: str) -> None:
    template["t"] = f"<img alt={quote}{{{{ text }}}}{quote}>"
    shown = render.render_html("t", text=f"{quote} onload={quote}x")
    assert shown.count(quote) == 2


def test_fragments_are_printed_as_they_are_and_plain_strings_are_not(
    template: dict[str, str],
) -> None:
    template["inner"], template["outer"] = "<i>{{ text }}</i>", "<p>{{ fragment }}</p>"
    fragment = render.render_html("inner", text="a < b")
    assert render.render_html("outer", fragment=fragment) == "<p><i>a &lt; b</i></p>"
    assert render.render_html("outer", fragment=str(fragment)) == "<p>&lt;i&gt;a &amp;lt; b&lt;/i&gt;</p>"


def test_broken_unicode_and_control_characters_are_replaced(template: dict[str, str]) -> None:
    template["t"] = "{{ text }}"
    assert render.render_html("t", text="a\ud800b\x00c\u202ed") == "a?b?c?d"
    assert render.render_html("t", text=Markup("a\ud800b\x00c")) == "a?b?c"
    assert render.render_html("t", text="line\n\ttab é 中") == "line\n\ttab é 中"


def test_what_was_not_passed_is_an_error(template: dict[str, str]) -> None:
    template["t"] = "{{ forgotten }}"
    with pytest.raises(UndefinedError, match="forgotten"):
        render.render_html("t")
    with pytest.raises(UndefinedError, match="forgotten"):
        render.render_markdown("t")


def test_templates_come_from_the_package_only() -> None:
    for name in ("../pyproject.toml", "/etc/hostname", "pages/templates/absent.html.j2"):
        with pytest.raises(TemplateNotFound):
            render.render_html(name)


def test_markdown_shows_text_literally_and_numbers_plainly(template: dict[str, str]) -> None:
    template["t"] = "- {{ text }}, {{ -0.5 }}, {{ number|fixed(2) }}\n"
    assert (
        render.render_markdown("t", text="**x**\n# y", number=0.128) == "- \\*\\*x\\*\\* \\# y, -0.5, 0.13\n"
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_switches_escaping_off_or_leaves_an_attribute_open(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|Markup", text)
    assert not re.search(r"<\w[^<>]*=\{", text), "quotes belong around every attribute"
    assert not re.search(r"<script|<link|@import|url\(|https?:(?!//www\.w3\.org/2000/svg)", text)


def test_markup_is_made_by_the_renderer_alone() -> None:
    """Else a text could be declared harmless where nobody looks."""
    root = Path(render.__file__).parents[1]
    makers = [p.name for p in root.rglob("*.py") if re.search(r"\bMarkup\(", p.read_text(encoding="utf-8"))]
    assert makers == ["render.py"]
