"""Training of the connector: descriptions, question answering, word embeddings, a real run."""

import random

import pytest
import torch
from factories_small import make_small_base, small_home

from unichar.model.nano.loading import load_nano
from unichar.model.nano.vision import NUM_TOKENS
from unichar.pretrain.connector import (
    ConnectorPhase,
    _WordEmbeddings,
    conversation,
    description,
    run,
    sample_questions,
    to_batch,
)
from unichar.pretrain.toons import sample_toon
from unichar.training.curves import read_curve

PHASE = ConnectorPhase(naming_steps=1, steps=1, toons=2, questions=2)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    base = make_small_base(tmp_path_factory.mktemp("base"))
    with small_home(base):
        return load_nano(base)


def test_a_description_has_one_word_per_token():
    for seed in range(20):
        words = description(sample_toon(random.Random(seed), 32))
        assert len(words) == NUM_TOKENS and all(words)


def test_answers_carry_the_loss():
    toon = sample_toon(random.Random(0), 32)
    segments = conversation(
        toon, [("color", "Which color?", "teal"), ("pose", "What is it doing?", "waving")]
    )
    assert [segment.type for segment in segments] == ["image", "text", "text", "text", "text"]
    assert [segment.value for segment in segments if segment.loss] == ["teal", "waving"]


def test_a_batch_has_a_picture_per_conversation(small):
    batch, pixels = to_batch(small, *sample_questions(PHASE, 0, small.image_size))
    assert len(batch.ids) == len(pixels) == 2
    assert ((batch.ids < 0).sum(dim=1) == NUM_TOKENS).all()
    assert (batch.labels >= 0).any(dim=1).all()


def test_a_word_is_the_mean_of_its_tokens(small):
    embeddings = _WordEmbeddings(small)
    ids = small.tokenizer(" teal", add_special_tokens=False)["input_ids"]
    expected = small.word_embeddings()[torch.tensor(ids)].mean(dim=0)
    assert torch.equal(embeddings.of(["teal", "teal"]), torch.stack([expected, expected]))


def test_a_run_trains_the_connector_alone(small, tmp_path):
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    run(small, PHASE, tmp_path, key="k")
    changed = {
        name.split(".")[0]
        for name, tensor in small.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    assert changed == {"connector"}
    assert not any(parameter.requires_grad for parameter in small.parameters())
    assert {"naming_loss", "loss"} <= read_curve(tmp_path / "curve.jsonl")[-1].keys()
