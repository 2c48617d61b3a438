"""A tiny BAGEL on another device, in bf16: trained by both trainers, drawn with and talked to."""

import json
from unittest import mock

import factories_device
import pytest
import torch
from factories_bagel import make_bagel
from factories_config import replaced
from factories_device import on_second_device
from factories_interactions import nia_the_photographer
from factories_model import BASE, TINY, make_inputs, make_job
from PIL import Image

from unichar.grpo import train as grpo
from unichar.model.load import load_model
from unichar.model.protocol import Turn
from unichar.sft import train as sft

WORDS = {"rounds": 1, "max_tokens": 4}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Job of a finished SFT on the CPU."""
    folder = tmp_path_factory.mktemp("nia")
    inputs = make_inputs(folder, **nia_the_photographer())
    job = make_job("sft", folder / "sft", inputs, base=make_bagel(folder / "bagel"), character="nia")
    sft.run(job)
    return job


def move():
    """In the child: BAGEL is loaded there, and a mask stands where the flash kernel has a flag."""
    device = factories_device.DEVICE
    mock.patch("unichar.model.bagel.weights.local_device", lambda: device).start()

    def mask(queries, keys):
        return torch.ones((queries, keys), dtype=torch.bool, device=device).tril(keys - queries)

    mock.patch("unichar.model.bagel.attention.causal_lower_right", mask).start()


def test_sft_with_its_validation(trained, tmp_path):
    validation = {"every": 1, "conversations": 1, "pictures": 2}
    config = replaced(TINY["sft"], prior="base", prior_sample_steps=2, tracker="", validation=validation)
    job = make_job("sft", tmp_path, trained.inputs, base=trained.base, character="nia", config=config)

    @on_second_device
    def check():
        move()
        (tmp_path / "numbers.json").write_text(json.dumps(sft.run(job)))

    check()
    assert 0 < json.loads((tmp_path / "numbers.json").read_text())["mse"] < 10
    assert load_model(trained.base, job.out / "adapters").und


@pytest.mark.parametrize("algorithm", ["nft", "flow_grpo"])
def test_grpo_with_its_validation_and_replies(trained, tmp_path, monkeypatch, algorithm):
    monkeypatch.setenv("UNICHAR_JUDGES", str(BASE))
    flow = {"window": 1, "clip_range": 0.1, "kl": 0.1, "guidance": 2.0}
    config = replaced(
        TINY["grpo"], rounds=1, algorithm=algorithm, nft={"kl": 0.1}, flow_grpo=flow, text=WORDS, tracker=""
    )
    inputs = trained.inputs | {"sft_checkpoint": trained.out}
    job = make_job("grpo", tmp_path, inputs, base=trained.base, character="nia", config=config)

    @on_second_device
    def check():
        move()
        assert grpo.run(job)["optimizer_steps"] == 2

    check()


@pytest.mark.parametrize("merge", [False, True])
def test_pictures_and_replies(trained, merge):
    look = Image.effect_noise((100, 80), 60).convert("RGB")
    chats = [[Turn(role="user", text="Who?")], [Turn(role="user", image=look), Turn(role="user", text="Eh?")]]

    @on_second_device
    def check():
        move()
        model = load_model(trained.base, trained.out / "adapters", merge=merge)
        assert {p.dtype for n, p in model.named_parameters() if "lora_" not in n} == {torch.bfloat16}

        context = model.prompt_context(["A fox.", "", "A beach at night."])
        latents = model.sample_latents(context, range(6), steps=3, guidance=4.0, shift=3.0)
        pixels = model.decode_latents(latents)
        found = [latents, pixels, *model.maps(pixels), model.encode_images([look.resize((64, 64))])]
        assert all((each.device.type, each.dtype) == ("cpu", torch.float32) for each in found)
        assert len(model.reply(chats, max_tokens=4, temperature=1.0)) == 2

    check()
