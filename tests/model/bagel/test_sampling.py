"""Guidance and its bound. The numbers themselves are compared with the published code in test_parity.py."""

import pytest
import torch

from unichar.model.bagel.sampling import Guidance, guided, sample
from unichar.training.seeds import torch_rng


def draws(count: int) -> list[torch.Tensor]:
    return [torch.randn(2, 3, 64, generator=torch_rng(0, "draw", i)) for i in range(count)]


@pytest.mark.parametrize("renorm", ["global", "channel", "text_channel"])
def test_a_picture_does_not_depend_on_its_neighbours(renorm):
    guidance = Guidance(image=2.0, renorm=renorm)
    v, text, image = draws(3)
    both = guided(v, text, image, guidance)
    assert torch.equal(both[1:], guided(v[1:], text[1:], image[1:], guidance))


def test_guidance_never_lengthens_a_velocity():
    v, text, _ = draws(3)
    for renorm, dims in (("global", (1, 2)), ("channel", 2)):
        out = guided(v, text, None, Guidance(text=8.0, renorm=renorm))
        assert (out.norm(dim=dims) <= v.norm(dim=dims) * 1.0001).all()
    unbound = guided(v, text, None, Guidance(text=8.0, renorm_min=1.0))
    assert torch.allclose(unbound, text + 8 * (v - text))


def test_guidance_acts_inside_its_interval_only():
    asked = []

    def without_text(x, t):
        asked.append(t)
        return x

    sample(
        torch.ones(1, 2, 64),
        lambda x, t: x,
        steps=10,
        shift=1.0,
        guidance=Guidance(text=2.0, interval=(0.35, 0.85)),
        without_text=without_text,
    )
    assert asked == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4])


def test_steps_are_eulers():
    noise = torch.ones(1, 2, 64)
    out = sample(
        noise,
        lambda x, t: x * 0 + 3,
        steps=4,
        shift=3.0,
        guidance=Guidance(text=1.0),
        without_text=lambda x, t: x,
    )
    assert torch.allclose(out, noise - 3)


def test_settings_that_can_not_be_are_refused():
    with pytest.raises(ValueError, match="renorm is 'none'"):
        Guidance(renorm="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="renorm_min is 2"):
        Guidance(renorm_min=2)
