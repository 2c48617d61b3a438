"""Control tokens and texts."""

import pytest
from transformers import AutoTokenizer

from unichar.errors import UserError
from unichar.model.bagel.tokenizer import CONTROL, BagelTokenizer
from unichar.model.nano.backbone import backbone_folder


@pytest.fixture
def plain():
    return AutoTokenizer.from_pretrained(backbone_folder())


def test_missing_control_tokens_are_added(plain):
    tokenizer = BagelTokenizer(plain, vocabulary=49160)
    known = plain.get_vocab()
    special = tokenizer.special
    ids = [special.begin, special.end, special.vision_start, special.vision_end]
    assert ids == [known[name] for name in CONTROL]


def test_a_text_is_between_begin_and_end_and_comes_back(plain):
    tokenizer = BagelTokenizer(plain, vocabulary=49160)
    element = tokenizer.text("Hello there.", has_loss=True)
    assert element.kind == "text" and element.has_loss
    assert (element.ids[0], element.ids[-1]) == (tokenizer.special.begin, tokenizer.special.end)
    assert tokenizer.decode(element.ids) == "Hello there."


def test_text_that_looks_like_a_control_token_is_text(plain):
    tokenizer = BagelTokenizer(plain, vocabulary=49160)
    assert tokenizer.special.end not in tokenizer.text("<|im_end|>").ids[:-1]


def test_a_tokenizer_larger_than_the_vocabulary_is_refused(plain):
    with pytest.raises(UserError, match=r"vocabulary .* is 100: the tokenizer files are another model's"):
        BagelTokenizer(plain, vocabulary=100)
