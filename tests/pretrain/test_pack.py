"""The base file and its record."""

import json

import torch
from factories_small import SIZES
from safetensors.torch import load_file
from torch import nn

from unichar.model.nano.loading import read_shape
from unichar.pretrain.pack import pack


def test_a_base_holds_every_part_in_bf16_and_says_its_shape(tmp_path):
    parts = {"vae": nn.Linear(2, 3), "examiner": nn.BatchNorm1d(2)}
    path = pack(parts, SIZES, {"seconds": 1}, tmp_path)
    stored = load_file(path)
    assert path == tmp_path / "base.safetensors"
    assert stored["vae.weight"].dtype == torch.bfloat16
    assert stored["examiner.num_batches_tracked"].dtype == torch.int64
    assert read_shape(path) == SIZES
    assert json.loads((tmp_path / "base.json").read_text()) == {"seconds": 1}
