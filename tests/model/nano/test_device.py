"""Nano on another device: everything is computed there, leaves as fp32 on the CPU, and agrees to rounding."""

from pathlib import Path

import factories_device
import pytest
import torch
from factories_device import on_second_device
from factories_model import disturb
from factories_small import small_home, small_model
from PIL import Image

from unichar.model.load import load_model
from unichar.model.protocol import Turn
from unichar.types import Segment

PROMPTS = ("A red cat.", "Somebody quite different, far away at the beach.")


def small(base, device="cpu"):
    """The small model with adapters that were moved at random, as if trained."""
    model = small_model(base)
    disturb(model, by=0.05)
    assert {tensor.device for tensor in model.state_dict().values()} == {torch.device(device)}
    for network in (model.und, model.gen, model.vae.encoder, model.vae.decoder):
        network.register_forward_pre_hook(assert_bf16)
    return model


def assert_bf16(module, inputs):
    assert torch.get_autocast_dtype(inputs[0].device.type) == torch.bfloat16
    assert torch.is_autocast_enabled(inputs[0].device.type)


@pytest.fixture
def picture(tmp_path) -> Image.Image:
    image = Image.effect_noise((32, 32), 60).convert("RGB")
    image.save(tmp_path / "a.png")
    return image


def chats() -> list[list[Segment]]:
    """Two conversations with a common beginning; the first has a picture."""
    card = Segment(type="text", value="You are Pip, a cat by the sea. " * 12, role="system")
    look = Segment(type="image", value="a.png", role="user")
    me, rain = (
        Segment(type="text", value=text, role="assistant", loss=True) for text in ("Me.", "It is raining.")
    )
    return [[card, look, me], [card, rain]]


def drawn(model, picture) -> dict[str, torch.Tensor]:
    """What the public methods that make or see pictures return."""
    latents = model.encode_images([picture, picture])
    context = model.prompt_context(PROMPTS)
    noise = model.start_noise([5, 6, 7, 8])
    sampled = model.sample_latents(context, [1, 2, 3, 4], steps=3, guidance=2.0, shift=2.0)
    with torch.no_grad():
        velocity = model.velocity(noise, torch.full((4,), 0.7), context)
    pixels = model.decode_latents(sampled)
    found = {"latents": latents, "noise": noise, "velocity": velocity, "sampled": sampled, "pixels": pixels}
    found |= {f"map {index}": each for index, each in enumerate(model.maps(pixels))}
    return found | {f"read {name}": each for name, each in model.read(pixels).items()}


def learned(model, folder: Path) -> dict[str, torch.Tensor]:
    """Losses of texts and pictures, and the gradients of all adapters."""
    losses = torch.cat(model.text_losses(chats(), folder))
    noise = model.start_noise([0, 1, 2, 3])
    velocity = model.velocity(noise, torch.linspace(0.1, 0.9, 4), model.prompt_context(PROMPTS))
    (losses.mean() + velocity.square().mean()).backward()

    found = {"losses": losses.detach(), "velocity": velocity.detach()}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[f"gradient of {name}"] = parameter.grad.cpu()
    assert len(found) > 50
    return found


def assert_close(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], *, rounding: float
) -> None:
    """fp32 on the CPU, and as far apart as bf16 in another order is, relative to the largest value."""
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert type(tensor) is torch.Tensor and tensor.dtype == torch.float32, name
        scale = expected[name].abs().max().clamp(min=1e-6)
        assert (tensor - expected[name]).abs().max() / scale < rounding, name


def test_pictures_are_drawn_and_seen_on_the_device(small_base, picture):
    expected = drawn(small(small_base), picture)

    @on_second_device
    def check():
        assert_close(drawn(small(small_base, "second:0"), picture), expected, rounding=0.05)

    check()


def test_losses_and_gradients_are_computed_on_the_device(small_base, picture, tmp_path):
    expected = learned(small(small_base), tmp_path)

    @on_second_device
    def check():
        assert_close(learned(small(small_base, "second:0"), tmp_path), expected, rounding=0.1)

    check()


def test_replies_are_decoded_on_the_device(small_base, picture):
    conversations = [
        [Turn(role="user", text="Hello!")],
        [Turn(role="user", image=picture), Turn(role="user", text="Who is it?")],
        [Turn(role="user", text="Tell me a tale of the sea, with a storm in it.")],
    ]
    expected = small(small_base).reply(conversations, max_tokens=3, seed=1)

    @on_second_device
    def check():
        model = small(small_base, "second:0")
        assert model.reply(conversations, max_tokens=3, seed=1) == expected
        assert model.reply(conversations, max_tokens=3, temperature=1.0, seed=1) != expected

    check()


@on_second_device
def test_a_merged_character_lies_on_the_device_and_draws_there(small_base, picture, tmp_path):
    model = small(small_base, "second:0")
    model.save_merged(tmp_path, base=small_base)
    with small_home(small_base):
        merged = load_model(tmp_path)
    assert merged.prompt_encoder.device == factories_device.DEVICE
    with torch.no_grad():
        noise, t = model.start_noise([1, 2]), torch.tensor([0.4, 0.8])
        ours, theirs = (each.velocity(noise, t, each.prompt_context(PROMPTS)) for each in (model, merged))
    assert (ours - theirs).abs().max() / ours.abs().max() < 0.05
