"""Styles and the words for their variants."""

import pytest

from unichar.pretrain.worlds.styles import HELD_OUT, _labelled, load_styles, training_styles

FREE = ("CC0 1.0", "CC BY 4.0", "Free for personal and commercial use")


def test_every_style_has_a_clear_licence_and_a_designer():
    for style in load_styles().values():
        meta = style.definition["meta"]
        assert meta["license"]["name"].rstrip(".") in FREE and meta["creator"]["name"], style.name


def test_no_phase_sees_a_held_out_style_or_another_one_drawn_from_it():
    assert set(load_styles()) - set(training_styles()) == set(HELD_OUT)
    assert not {name for name in training_styles() if name.startswith(HELD_OUT)}


def test_colors_and_components_are_those_of_the_definition():
    for style in load_styles().values():
        assert set(style.colors) <= set(style.definition["colors"]), style.name
        for component, labels in {**style.parts, **style.face}.items():
            assert set(labels) == set(style.definition["components"][component]["variants"])


def test_every_label_of_eyes_and_mouth_has_words():
    from unichar.pretrain.worlds.captions import _EYES, _MOUTHS

    silent = {"screen", "sick", "pissed", "hairy"}
    for style in training_styles().values():
        for component, role in style.roles.items():
            labels = {label for label in style.face[component].values() if label}
            words = {"eyes": _EYES, "mouth": _MOUTHS}.get(role)
            assert words is None or labels <= set(words) | silent, (style.name, component)


def test_the_first_label_that_fits_is_taken():
    definition = {"components": {"hair": {"variants": {"long01": {}, "long02": {}, "bun": {}}}}}
    found = _labelled("x", definition, "hair", {"special": ["long02"], "long hair": ["long*"]})
    assert found == {"long01": "long hair", "long02": "special", "bun": ""}


def test_a_pattern_that_fits_nothing_is_a_mistake():
    definition = {"components": {"hair": {"variants": {"bun": {}}}}}
    with pytest.raises(AssertionError, match="no variant fits bob"):
        _labelled("x", definition, "hair", {"bob hair": ["bob"]})
