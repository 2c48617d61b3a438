"""Nothing that comes as text can become markup."""

import pytest

from unichar.evaluation.markup import Markup, element, escape, join


@pytest.mark.parametrize(
    "hostile", ["<script>", "</style>", "a & b", "<img src=x onerror=alert(1)>", "&lt;b&gt;"]
)
def test_text_is_escaped_and_elements_are_not(hostile):
    inner = element("b", hostile)
    assert "<" not in inner[3:-4]
    assert element("p", inner) == f"<p>{inner}</p>"
    assert escape(inner) is inner


def test_attributes_cannot_be_left():
    assert element("img", alt='" onload="x') == '<img alt="&quot; onload=&quot;x">'


def test_names_and_numbers_of_attributes():
    assert element("line", class_="a", stroke_width=1.5, x1=2.0, y1=0.333) == (
        '<line class="a" stroke-width="1.5" x1="2" y1="0.33"></line>'
    )


def test_broken_unicode_and_control_characters_are_replaced():
    assert escape("a\ud800b\x00c\u202ed") == "a?b?c?d"
    assert escape("line\n\ttab é 中") == "line\n\ttab é 中"


def test_slices_of_markup_are_text_again():
    assert escape(Markup("<b>")[:2]) == "&lt;b"
    assert join("<", Markup("<br>")) == "&lt;<br>"
