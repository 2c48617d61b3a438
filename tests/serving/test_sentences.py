"""Where a reply that was cut off ends."""

import pytest

from unichar.serving.sentences import ends_at_a_sentence, up_to_the_last_sentence


@pytest.mark.parametrize(
    "text",
    [
        "Never.",
        "Never!",
        "Really?",
        "Well…",
        '"Never!"',
        "“Never.”",
        "*hops home.*",
        "(Never.)",
        "走吧。",
        "「走吧！」",
        "كيف؟",
    ],
)
def test_a_sentence_end_is_seen_in_any_script(text: str) -> None:
    assert ends_at_a_sentence(text) and ends_at_a_sentence(f"{text} ")
    assert up_to_the_last_sentence(text) == text


@pytest.mark.parametrize(
    "text", ["", "Never", "Never,", "In this fur? Never. The water is", "3.14", "走吧。我"]
)
def test_a_cut_sentence_is_seen(text: str) -> None:
    assert not ends_at_a_sentence(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("In this fur? Never. The water is", "In this fur? Never."),
        ("Pi is 3.14 and so", "Pi is 3.14 and so…"),
        ("I know Mr. Heron. He asked Mr. Fox for", "I know Mr. Heron."),
        ('"Never!" said the cat and', '"Never!"'),
        ("Hmph... you again? I was", "Hmph... you again?"),
        ("走吧。我们去", "走吧。"),
        ("「走吧！」他说", "「走吧！」"),
        ("क्या? हाँ। मैं", "क्या? हाँ।"),
        ("The water is, ", "The water is…"),
        ("", ""),
    ],
)
def test_the_sentence_that_is_cut_off_goes(text: str, kept: str) -> None:
    assert up_to_the_last_sentence(text) == kept
