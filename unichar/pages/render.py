"""Rendering of every page the project writes, by Jinja2: HTML, inline SVG and markdown. No torch.

    render_html("kit/templates/validation.html.j2", checks=checks)
    render_markdown("release/templates/model_card.md.j2", reasons=reasons)

Template names are paths inside the package `unichar`, so a page stands beside the code that fills it and
extends `pages/templates/base.html.j2` for the common style. A name that a template asks for and nobody passed
is an error.
"""

import re

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unichar.pages.markdown import escape_markdown

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that change the direction of writing and disguise a text."""


def render_html(template: str, /, **values: object) -> Markup:
    """An HTML page, or a fragment of HTML or SVG that another template may print as it is.

    Every printed value is HTML-escaped unless it is `Markup`, that is, a fragment made by this function.
    Unprintable characters and unpaired surrogates become `?`.
    """
    return Markup(_printable(_HTML.get_template(template).render(values)))


def render_markdown(template: str, /, **values: object) -> str:
    """A markdown page. Every printed value is shown literally: on one line, without markup, HTML or links."""
    return _printable(_MARKDOWN.get_template(template).render(values))


def _environment(**options: object) -> Environment:
    # Blocks leave no line of their own, so that a template can be laid out for its reader.
    environment = Environment(
        loader=PackageLoader("unichar", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,  # type: ignore[arg-type]
    )

    environment.filters["fixed"] = _fixed
    return environment


def _fixed(value: float, digits: int) -> Markup:
    """The filter `fixed`: a number with so many decimals, as `{{ 0.5|fixed(2) }}`."""
    return Markup(f"{value:.{digits}f}")


def _literal(value: object) -> Markup:
    """What the markdown environment prints for a value, before Jinja's own escaping, which leaves `Markup`
    alone.
    """
    # Results of macros, which have been through here already.
    if isinstance(value, Markup):
        return value

    # "-0.5" would get a backslash as the beginning of a list.
    if isinstance(value, int | float):
        return Markup(str(value))
    return Markup(escape_markdown(str(value)))


def _printable(text: str) -> str:
    # Half of a surrogate pair cannot be written to a file.
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return _UNPRINTABLE.sub("?", whole)


_HTML = _environment()
_MARKDOWN = _environment(finalize=_literal)
