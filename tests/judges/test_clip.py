"""CLIP as a judge: transformers' own numbers, whole texts, and the scale of a kit."""

import pytest
import torch
import torch.nn.functional as F
from factories_judges import make_clip
from factories_model import make_album, make_prior_images
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

from unichar.judges.clip import Clip, ClipAlignment, pieces
from unichar.model.pixels import to_pixels

LONG = (
    "A fox by the sea, in a yellow coat. It holds a lantern and looks out at the boats. "
    "Behind it the sun goes down over the town."
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def clip(folder):
    return Clip(str(folder))


@pytest.mark.parametrize("shape", [(128, 128), (1024, 1024), (131, 200), (24, 20)])
def test_cosines_are_those_of_transformers(clip, folder, shape):
    images, texts = (
        [image.resize(shape) for image in make_prior_images(3)],
        ["a cat", "A fox by the sea.", ""],
    )
    net, tokenizer = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    seen = CLIPImageProcessorPil.from_pretrained(folder)(images, return_tensors="pt")
    with torch.no_grad():
        theirs = net(**seen, **tokenizer(texts, padding=True, return_tensors="pt"))
    cosines = (theirs.image_embeds * theirs.text_embeds).sum(dim=1)
    assert torch.allclose(clip.cosines(to_pixels(images), texts), cosines, atol=1e-5)
    assert not torch.allclose(clip.cosines(to_pixels(images), texts[::-1]), cosines, atol=1e-5)


def test_the_end_of_a_long_text_counts(clip):
    """77 tokens are 75 letters here; a judge that cuts there would see no difference."""
    pixels = to_pixels(make_prior_images(2))
    assert len(LONG) > 100
    whole, other = (
        clip.cosines(pixels, [text, text]) for text in (LONG, LONG.replace("the town", "a volcano"))
    )
    assert not torch.allclose(whole, other, atol=1e-5)


def test_a_long_text_is_the_mean_of_its_pieces_by_their_length(clip):
    pixels = to_pixels(make_prior_images(1))
    parts = pieces(LONG, lambda part: len(part.replace(" ", "")) <= 75)
    assert len(parts) > 1 and " ".join(parts) == LONG
    lengths = torch.tensor([len(part.replace(" ", "")) + 2.0 for part in parts])
    each = torch.cat([clip.cosines(pixels, [part]) for part in parts])
    assert torch.allclose(clip.cosines(pixels, [LONG]), (each * lengths).sum() / lengths.sum(), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("short", ["short"]),
        ("One two three. Four five six.", ["One two three.", "Four five six."]),
        ("one two three, four five six", ["one two three,", "four five six"]),
        ("one two three four five six", ["one two three", "four five six"]),
        ("Mr. " + "abcdefg " * 4, ["Mr. abcdefg", "abcdefg", "abcdefg abcdefg"]),
        ("x" * 30, ["x" * 15, "x" * 15]),
        ("他在海边。她在山上看日出日落的时候。", ["他在海边。", "她在山上看日出日落的时候。"]),
    ],
)
def test_texts_are_cut_where_they_can_be_read(text, parts):
    assert pieces(text, lambda part: len(part) <= 15) == parts


def test_a_kit_gives_the_scale(clip):
    album = to_pixels(make_album(4).images)
    captions = ["a fox", "two bears at night", "a red cat in the snow", "nobody"]
    judge = ClipAlignment(clip, album, captions)
    cosines = torch.stack([clip.cosines(album, [caption] * 4) for caption in captions])
    assert judge.zero == pytest.approx(float(cosines[~torch.eye(4, dtype=torch.bool)].mean()), abs=1e-6)
    assert judge.scale == pytest.approx(max(float(cosines.diagonal().mean()) - judge.zero, 0.01), abs=1e-6)
    scores = judge.score(album, captions)
    assert scores.shape == (4,) and ((scores >= 0) & (scores <= 1)).all()
    raw = (clip.cosines(album, captions) - judge.zero) / judge.scale
    assert torch.allclose(scores, raw.clamp(0, 1), atol=1e-5)


def test_captions_that_all_say_the_same_divide_by_no_zero(clip):
    album = to_pixels(make_album(3).images)
    assert ClipAlignment(clip, album, ["a fox"] * 3).score(album, ["a fox"] * 3).isfinite().all()


def test_features_have_unit_length_and_no_gradient_in_chunks_of_any_size(clip):
    pixels = to_pixels(make_prior_images(18))
    features = clip.pictures(pixels)
    assert features.shape == (18, 16) and not features.requires_grad
    assert torch.allclose(features.norm(dim=1), torch.ones(18), atol=1e-5)
    assert torch.allclose(features[17:], clip.pictures(pixels[17:]), atol=1e-5)
    assert torch.allclose(F.normalize(features, dim=1), features, atol=1e-5)
