"""Encoders: each reads attributes or maps pictures, and perceptual distances are distances."""

import pytest
import torch
from factories_device import on_second_device
from factories_interactions import BRAMBLE_LOOK
from factories_model import BASE, make_album, make_prior_images

from unichar.domains.lookup import DOMAINS
from unichar.domains.toon.vocabulary import ATTRIBUTES, attributes
from unichar.judges.encoders import (
    PhotoEncoder,
    PhotoRewardEncoder,
    ToonEncoder,
    load_encoder,
    perceptual_distances,
    perceptual_vectors,
    reward_encoder,
    tensors_of,
)
from unichar.model.pixels import to_pixels


@pytest.fixture(scope="module", params=[ToonEncoder, PhotoEncoder, PhotoRewardEncoder, "tower"])
def encoder(request):
    return request.getfixturevalue("model") if request.param == "tower" else request.param(BASE)


def test_maps_get_coarser_and_never_train(encoder):
    maps = encoder.maps(to_pixels(make_prior_images(2)))
    sides = [m.shape[-1] for m in maps]
    assert sides == sorted(sides, reverse=True) and all(
        m.shape[0] == 2 and m.shape[2] == m.shape[3] for m in maps
    )
    assert not any(m.requires_grad for m in maps)


def test_a_picture_is_at_no_distance_from_itself_and_at_some_from_others(encoder):
    album = make_album(3)
    vectors = perceptual_vectors(encoder, to_pixels([*album.images, *make_prior_images(3)]))
    distances = perceptual_distances(vectors, vectors)
    assert distances.shape == (6, 6)
    assert torch.allclose(distances, distances.T, atol=1e-5)
    assert (distances.diagonal() < 1e-4).all() and (distances >= 0).all() and (distances < 1.2).all()
    assert (distances + torch.eye(6) > 0.02).all()


def test_small_changes_are_near_and_other_pictures_far(encoder):
    pixels = to_pixels(make_prior_images(4))
    noisy = (pixels + 0.02 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))).clamp(
        -1, 1
    )
    distances = perceptual_distances(perceptual_vectors(encoder, noisy), perceptual_vectors(encoder, pixels))
    assert (distances.argmin(dim=1) == torch.arange(4)).all()


def test_vectors_are_batch_invariant(encoder):
    pixels = to_pixels(make_prior_images(18))
    assert torch.allclose(
        perceptual_vectors(encoder, pixels)[17], perceptual_vectors(encoder, pixels[17:])[0], atol=1e-4
    )


def test_the_toon_encoder_reads_what_is_drawn():
    album = make_album(20)
    logits = ToonEncoder(BASE).read(to_pixels(album.images))
    assert {name: values.shape[1] for name, values in logits.items()} == {
        n: len(v) for n, v in ATTRIBUTES.items()
    }
    for name in ("species", "color", "outfit", "expression", "pose", "prop", "background"):
        target = torch.tensor(
            [ATTRIBUTES[name].index(attributes(BRAMBLE_LOOK, scene)[name]) for scene in album.scenes]
        )
        assert (logits[name].argmax(dim=1) == target).float().mean() >= 0.8, name


def test_the_photo_encoder_reads_no_attributes():
    assert PhotoEncoder(BASE).read(to_pixels(make_prior_images(1))) == {}


def test_rewards_and_reports_use_different_networks(model, tmp_path):
    toon, photo = DOMAINS["toon"], DOMAINS["photo"]
    assert reward_encoder(toon, BASE, tower=model) is model
    assert type(load_encoder(toon.report_encoder, BASE)) is ToonEncoder
    assert type(reward_encoder(photo, BASE, tower=model)) is PhotoRewardEncoder
    assert type(load_encoder(photo.report_encoder, BASE)) is PhotoEncoder
    assert reward_encoder(photo, tmp_path, tower=model) is model, "BAGEL's tower has seen photographs"


def test_a_model_without_an_encoder_for_the_domain_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="cannot be trained with the model bagel"):
        reward_encoder(DOMAINS["toon"], tmp_path, tower=model)


def test_a_part_that_is_not_in_the_base_is_named():
    with pytest.raises(ValueError, match=r"base\.safetensors has no monocle: fetch the whole base"):
        tensors_of(BASE, "monocle")


def test_parts_come_without_their_prefix_as_fp32():
    tensors = tensors_of(BASE, "examiner")
    assert "heads.species.weight" in tensors
    assert all(t.dtype == torch.float32 for t in tensors.values() if t.is_floating_point())


def test_a_folder_is_judged_by_the_networks_of_the_nano_base(tmp_path, monkeypatch):
    monkeypatch.setenv("UNICHAR_JUDGES", str(BASE))
    assert tensors_of(tmp_path, "photo").keys() == tensors_of(BASE, "photo").keys()
    monkeypatch.setenv("UNICHAR_JUDGES", str(tmp_path / "nowhere.safetensors"))
    with pytest.raises(
        FileNotFoundError, match=r"nowhere\.safetensors is missing: run `make data`, or set UNICHAR_JUDGES"
    ):
        tensors_of(tmp_path, "photo")


@pytest.mark.parametrize("kind", [ToonEncoder, PhotoEncoder, PhotoRewardEncoder])
def test_an_encoder_computes_on_the_device_and_answers_on_the_cpu(kind):
    pixels = to_pixels(make_prior_images(2))
    encoder = kind(BASE)
    expected, logits = encoder.maps(pixels), encoder.read(pixels)

    @on_second_device
    def check():
        there = kind(BASE)
        assert {each.device.type for each in there._net.state_dict().values()} == {"second"}
        found = there.maps(pixels)
        assert [type(each) for each in found] == [torch.Tensor] * 3
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        assert all(torch.equal(each, logits[name]) for name, each in there.read(pixels).items())

    check()
