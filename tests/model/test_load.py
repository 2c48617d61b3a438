"""The one door to a model."""

import hashlib

import pytest
from factories_model import BASE

from unichar.files import sha256_file
from unichar.model.load import load_model


def test_a_file_is_named_by_its_content(tmp_path):
    (tmp_path / "x").write_bytes(b"nano")
    assert sha256_file(tmp_path / "x") == hashlib.sha256(b"nano").hexdigest()


def test_a_folder_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder, expected the nano base .*presets smoke or cpu"):
        load_model(tmp_path)


def test_a_missing_base_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="make data"):
        load_model(tmp_path / "base.safetensors")


def test_missing_adapters_are_not_taken_for_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adapters/base\.json"):
        load_model(BASE, tmp_path / "adapters")
