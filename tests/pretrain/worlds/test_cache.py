"""Pictures drawn in advance."""

import random

import numpy as np
import pytest
import torch

from unichar.errors import MissingFile
from unichar.pretrain.worlds import cache
from unichar.pretrain.worlds.batches import Mix, MixedPictures, ToonPictures
from unichar.pretrain.worlds.cache import PictureCache, build_shard


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 4)


def test_a_shard_follows_from_its_kind_and_number(art, small, tmp_path):
    for folder in ("a", "b"):
        for kind in cache.KINDS:
            assert build_shard(tmp_path / folder, art, kind, 0, size=32)
    for name in ("drawn-0000.npy", "drawn-0000.jsonl", "extras-0000.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    build_shard(tmp_path / "a", art, "drawn", 1, size=32)
    first, second = (np.load(tmp_path / "a" / f"drawn-000{index}.npy") for index in (0, 1))
    assert first.shape == (4, 32, 32, 3) and first.dtype == np.uint8 and not np.array_equal(first, second)


def test_a_shard_that_is_there_is_left_alone(art, small, tmp_path):
    build_shard(tmp_path, art, "drawn", 0, size=32)
    assert not build_shard(tmp_path, art, "drawn", 0, size=32)
    (tmp_path / "drawn-0000.npy").unlink()  # as after a kill between facts and pictures
    assert build_shard(tmp_path, art, "drawn", 0, size=32)


def test_a_cache_gives_pictures_with_their_facts(art, small, tmp_path):
    for index in range(2):
        build_shard(tmp_path, art, "drawn", index, size=32)
    found = PictureCache(tmp_path, "drawn", 2)
    assert len(found) == 8
    assert np.array_equal(found.picture(5), np.load(tmp_path / "drawn-0001.npy")[1])
    assert found.facts(5)["subject"] in ("figure", "things")


def test_too_few_shards_are_said(tmp_path):
    with pytest.raises(MissingFile, match="shard 0 of drawn is missing"):
        PictureCache(tmp_path, "drawn", 1)


def test_a_batch_mixes_all_kinds(art, small, tmp_path):
    for kind in cache.KINDS:
        build_shard(tmp_path, art, kind, 0, size=32)
    mix = Mix(toons=2, drawn=4, extras=2, drawn_shards=1, extra_shards=1)
    pictures = MixedPictures(tmp_path, mix, 32)

    def batch(seed):
        return pictures(random.Random(seed), torch.Generator().manual_seed(seed))

    assert batch(0).shape == (8, 3, 32, 32) and batch(0).abs().max() <= 1
    assert torch.equal(batch(0), batch(0)) and not torch.equal(batch(0), batch(1))


def test_toons_alone_need_no_cache():
    pixels = ToonPictures(4, 32)(random.Random(0), torch.Generator().manual_seed(0))
    assert pixels.shape == (4, 3, 32, 32)
