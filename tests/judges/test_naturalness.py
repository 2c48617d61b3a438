"""Naturalness: clean pictures before smeared ones, whatever else is in a picture."""

import pytest
import torch
import torch.nn.functional as F
from factories_interactions import BRAMBLE_LOOK
from factories_model import make_album

from unichar.judges.naturalness import Naturalness
from unichar.model.pixels import to_images, to_pixels
from unichar.training.seeds import torch_rng

COUNT = 12


@pytest.fixture(scope="module")
def judge(model):
    """The base without a prompt, calibrated on renders."""
    nothing = model.prompt_context([""])
    real = model.encode_images(make_album(8, look=BRAMBLE_LOOK, seed=1).images)
    return Naturalness(lambda x, t: model.velocity(x, t, nothing), real)


@pytest.fixture(scope="module")
def clean(model):
    """[COUNT, 3, 128, 128] renders of other scenes, through the VAE like everything that a model draws."""
    return seen_by(model, to_pixels(make_album(COUNT, look=BRAMBLE_LOOK, seed=2).images))


def seen_by(model, pixels):
    return model.decode_latents(model.encode_images(to_images(pixels))).clamp(-1, 1)


def smear(pixels):
    """Three coloured strokes with soft ends across every picture, as reward hacking draws them."""
    generator, out = torch_rng(0, "smear"), pixels.clone()
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    for picture in out:
        for _ in range(3):
            x, y, angle = (torch.rand(3, generator=generator) * torch.tensor([80.0, 80.0, 3.14])).tolist()
            turn = torch.tensor(angle)
            along = (columns - x - 24) * turn.cos() + (rows - y - 24) * turn.sin()
            across = (rows - y - 24) * turn.cos() - (columns - x - 24) * turn.sin()
            cover = 0.9 * torch.exp(-((along / 22) ** 2) - (across / 7) ** 2)
            picture.lerp_(2 * torch.rand((3, 1, 1), generator=generator) - 1, cover)
    return out


def blur_a_patch(pixels):
    blurred, out = pixels, pixels.clone()
    for _ in range(6):
        blurred = F.avg_pool2d(blurred, 7, 1, 3)
    out[..., 40:96, 36:92] = blurred[..., 40:96, 36:92]
    return out


SPOILERS = {
    "smear": smear,
    "blurred patch": blur_a_patch,
    "ghost": lambda pixels: 0.6 * pixels + 0.4 * pixels.roll(1, 0),
    "noise": lambda pixels: (pixels + 0.3 * torch.randn(pixels.shape, generator=torch_rng(0, "noise"))).clamp(
        -1, 1
    ),
}


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_spoiled_pictures_are_less_natural_than_clean_ones(judge, model, clean, spoiler):
    good, bad = (judge.score(model.encode_images(to_images(p))) for p in (clean, SPOILERS[spoiler](clean)))
    assert good.shape == (COUNT,) and float(good.min()) > 0 and float(good.max()) <= 1
    assert (good > bad).float().mean() >= 0.9
    assert good.mean() > bad.mean() + 0.2


def test_a_little_spoiling_costs_little(judge, model, clean):
    light, heavy = (
        judge.score(model.encode_images(to_images(clean.lerp(smear(clean), share)))) for share in (0.2, 1.0)
    )
    assert light.mean() > heavy.mean() + 0.1


def test_scores_are_batch_invariant(judge, model, clean):
    latents = model.encode_images(to_images(clean))
    assert torch.allclose(judge.score(latents[3:4])[0], judge.score(latents)[3], atol=0.05)
    assert torch.equal(judge.score(latents), judge.score(latents))
