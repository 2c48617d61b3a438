"""Foreign text is shown in markdown as it is."""

import pytest

from unichar.pages.markdown import escape_markdown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a-b, c.d (e)", "a-b, c.d (e)"),
        ("1. x", "1\\. x"),
        ("2) x", "2\\) x"),
        ("--- x", "\\--- x"),
        ("www.x.de", "www\\.x.de"),
        ("held_out_nll", "held_out_nll"),
        ("__x__ _y_", "\\_\\_x\\_\\_ \\_y\\_"),
        ("[x](y) ![z](y)", "\\[x\\]\\(y) \\!\\[z\\]\\(y)"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("two\nlines", "two lines"),
        ("https://x.de me@x.de", "https\\://x.de me\\@x.de"),
        ("", ""),
    ],
)
def test_text_stays_readable_and_means_nothing(text: str, shown: str) -> None:
    assert escape_markdown(text) == shown
