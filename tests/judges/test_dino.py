"""DINOv2 as an encoder: the numbers of transformers, and judges that work as with any other encoder."""

import pytest
import torch
import torch.nn.functional as F
from factories_judges import make_dino
from factories_model import make_album, make_prior_images
from transformers import BitImageProcessorPil, Dinov2Model

from unichar.judges.config import MissingJudge
from unichar.judges.copying import Copying
from unichar.judges.dino import DinoEncoder
from unichar.judges.diversity import leave_one_out
from unichar.judges.encoders import perceptual_distances, perceptual_vectors
from unichar.judges.identity import FeatureIdentity, negatives
from unichar.model.pixels import to_pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_dino(tmp_path_factory.mktemp("dino"))


@pytest.fixture(scope="module")
def encoder(folder):
    return DinoEncoder(str(folder))


@pytest.mark.parametrize("size", [128, 1024])
def test_the_class_token_is_that_of_transformers(encoder, folder, size):
    images = [image.resize((size, size)) for image in make_prior_images(2)]
    seen = BitImageProcessorPil.from_pretrained(folder)(images, return_tensors="pt")
    with torch.no_grad():
        theirs = Dinov2Model.from_pretrained(folder).eval()(**seen)
    maps = encoder.maps(to_pixels(images))
    assert [tuple(m.shape) for m in maps] == [(2, 32, 4, 4), (2, 32, 4, 4), (2, 32, 1, 1)]
    assert F.cosine_similarity(maps[-1][:, :, 0, 0], theirs.last_hidden_state[:, 0]).min() > 0.9999
    patches = theirs.last_hidden_state[:, 1:].transpose(1, 2).unflatten(2, (4, 4))
    assert F.cosine_similarity(maps[1], patches).min() > 0.995
    assert not any(m.requires_grad for m in maps) and encoder.read(to_pixels(images)) == {}


def test_likeness_is_the_cosine_of_class_tokens(encoder):
    album = to_pixels(make_album(6, seed=1).images)
    judge = FeatureIdentity(encoder, album[:4], negatives(128))
    tokens = F.normalize(encoder.maps(album)[-1][:, :, 0, 0], dim=1)
    assert torch.allclose(judge._features(album), tokens, atol=1e-6)
    scores = judge.score(album)
    assert scores.shape == (6,) and ((scores >= 0) & (scores <= 1)).all()


def test_distances_and_copying_work_as_with_any_encoder(encoder):
    album, others = to_pixels(make_album(4, seed=1).images), to_pixels(make_prior_images(4))
    vectors = perceptual_vectors(encoder, torch.cat([album, others]))
    distances = perceptual_distances(vectors, vectors)
    assert (
        (distances.diagonal() < 1e-4).all()
        and (distances + torch.eye(8) > 1e-4).all()
        and (distances < 1.2).all()
    )
    assert Copying(encoder, album).score(album).tolist() == [1, 1, 1, 1]
    spread = leave_one_out(torch.stack([vectors[:4], vectors[:1].repeat(4, 1)]))
    assert (spread[0] > 0).all() and torch.allclose(spread[1], torch.zeros(4), atol=1e-4)


def test_another_network_is_refused(tmp_path, folder):
    about = (folder / "config.json").read_text().replace('"dinov2"', '"vit"')
    (tmp_path / "config.json").write_text(about)
    with pytest.raises(MissingJudge, match="is a 'vit' network; expected 'dinov2'"):
        DinoEncoder(str(tmp_path))
