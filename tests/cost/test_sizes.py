"""Parameters by part, counted on the meta device: the published numbers of BAGEL-7B-MoT, and nano's own base
file."""

from factories_model import BASE
from safetensors import safe_open

from unichar.cost.sizes import BAGEL_7B, bagel_parameters, bagel_sizes, nano_parameters, nano_sizes
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.loading import PARTS

STACK = 28 * (3584 * (3584 * 2 + 512 * 2 + 18944 * 3) + (3584 + 2 * 512) + 2 * 3584 + 2 * 128) + 3584
"""One expert: matrices, biases of queries, keys and values, norms."""
AROUND = (256 * 3584 + 3584) + (3584**2 + 3584) + (64 * 3584 + 3584) + (3584 * 64 + 64) + 4096 * 3584
"""Timestep embedder, latents in and out, position table."""


def test_bagel_has_its_published_numbers():
    parts = bagel_parameters()
    assert parts["word embeddings and head"] == 2 * 152064 * 3584
    assert parts["text expert"] == STACK and round(STACK / 1e9, 2) == 6.53
    assert parts["generation expert"] == STACK + AROUND
    assert round((sum(parts.values()) - parts["autoencoder"]) / 1e9, 2) == 14.61


def test_a_large_picture_has_the_published_number_of_tokens():
    sizes = bagel_sizes(1024)
    assert (sizes.tokens, sizes.patches, sizes.seen_tokens) == (4096, 4900, 4902)
    assert bagel_sizes(512).tokens == 1024


def test_bagel_caches_57_kilobytes_per_token():
    stack = bagel_sizes(1024).text
    assert 2 * 2 * stack.layers * stack.kv_heads * stack.head_size == 57344
    assert BAGEL_7B.text.head_size == 128


def test_nano_has_what_its_file_holds():
    with safe_open(str(BASE), framework="pt") as file:
        config = NanoConfig.from_json(file.metadata()["config"])
        names = [name for name in file.keys() if name.split(".")[0] in PARTS]  # noqa: SIM118
        stored = sum(
            file.get_tensor(name).numel() for name in names if name not in ("vae.shift", "vae.scale")
        )
    parts = nano_parameters(config)
    assert sum(parts.values()) - parts["text backbone"] == stored
    assert round(parts["text backbone"] / 1e6) == 135
    assert nano_sizes(config).tokens == 64
