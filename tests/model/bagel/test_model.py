"""A tiny BAGEL keeps the contract of every unified model."""

import math

import pytest
import torch
from factories_bagel import make_bagel
from factories_model import disturb
from PIL import Image

from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.weights import load_bagel
from unichar.model.lora import LoraSettings, add_adapters, trainable
from unichar.model.protocol import Turn
from unichar.types import Segment

PROMPTS = ["A teal fox at the beach.", "A fox.", "A red cat in the city, laughing, with a cup."]
WHO = Turn(role="system", text="You are Bramble.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_bagel(tmp_path_factory.mktemp("bagel") / "tiny")
    Image.new("RGB", (300, 200), (200, 30, 30)).save(folder / "red.png")
    return folder


@pytest.fixture(scope="module")
def bagel(folder) -> BagelModel:
    return load_bagel(folder)


@pytest.fixture
def tuned(folder) -> BagelModel:
    """With adapters on both components, as if trained."""
    model = load_bagel(folder)
    add_adapters(model, und=LoraSettings(rank=2), gen=LoraSettings(rank=2), seed=0)
    disturb(model, by=0.1)
    return model


def velocity(model: BagelModel, prompts: list[str], each: int = 1) -> torch.Tensor:
    noise = model.start_noise(range(len(prompts) * each))
    return model.velocity(noise, torch.linspace(0.3, 0.9, len(noise)), model.prompt_context(prompts))


def talk(*turns: tuple[str, bool], picture: str = "") -> list[Segment]:
    segments = [
        Segment(type="text", value=text, role="assistant" if loss else "user", loss=loss)
        for text, loss in turns
    ]
    return [Segment(type="image", value=picture, role="user"), *segments] if picture else segments


TALKS = [
    talk(("Hello there, who are you?", False), ("I am Bramble.", True)),
    talk(("What colour is it?", False), ("Red.", True), picture="red.png"),
    talk(("A", False), ("B", True), ("C, and then what?", False), ("D, of course!", True)),
]


@torch.no_grad()
def test_contexts_are_batch_invariant(bagel):
    alone = [bagel.prompt_context([prompt]) for prompt in PROMPTS]
    together = bagel.prompt_context([*PROMPTS, ""])
    for row, context in enumerate(alone):
        mine = together.select(row)
        assert all(
            torch.equal(a, b)
            for one, two in zip(mine.past, context.past, strict=True)
            for a, b in zip(one, two, strict=True)
        )
        assert torch.equal(mine.position, context.position)
    assert together.mask[3].sum() == 0 and together.position[3] == 0


@torch.no_grad()
def test_pictures_of_several_prompts_at_once(bagel):
    noise, t = bagel.start_noise(range(6)), torch.linspace(0.2, 0.9, 6)
    together = bagel.velocity(noise, t, bagel.prompt_context(PROMPTS))
    assert together.shape == (6, 16, 8, 8)
    for row, prompt in enumerate(PROMPTS):
        mine = slice(2 * row, 2 * row + 2)
        assert torch.allclose(
            together[mine], bagel.velocity(noise[mine], t[mine], bagel.prompt_context([prompt])), atol=1e-5
        )


def test_pictures_that_are_no_multiple_of_the_prompts_are_refused(bagel):
    context = bagel.prompt_context(PROMPTS[:2])
    with pytest.raises(ValueError, match="3 pictures of 4 x 4 tokens for 2 prompts"):
        bagel.velocity(bagel.start_noise([1, 2, 3]), torch.ones(3), context)
    with pytest.raises(ValueError, match=r"8 x 2 tokens .* at most 4 tokens on a side"):
        bagel.velocity(torch.zeros(2, 16, 16, 4), torch.ones(2), context)


def test_a_picture_depends_on_its_seed_alone(bagel):
    context = bagel.prompt_context(PROMPTS[:2])
    options = {"steps": 3, "guidance": 4.0, "shift": 3.0}
    drawn = bagel.sample_latents(context, [5, 6, 7, 8], **options)
    assert drawn.shape == (4, 16, 8, 8)
    again = bagel.sample_latents(bagel.prompt_context(PROMPTS[1:2]), [8], **options)
    assert torch.equal(drawn[3:], again)
    assert not torch.allclose(drawn[2:3], again, atol=0.1)


def test_pictures_become_latents_and_back(bagel):
    latents = bagel.encode_images([Image.new("RGB", (64, 64), "teal"), Image.new("RGB", (64, 64), "red")])
    pixels = bagel.decode_latents(latents)
    assert latents.shape == (2, 16, 8, 8) and pixels.shape == (2, 3, 64, 64)
    assert pixels.abs().max() <= 1
    with pytest.raises(ValueError, match="picture 0 of 1 is 64 x 32 pixels, expected 64 x 64"):
        bagel.encode_images([Image.new("RGB", (64, 32))])


def test_features_of_pictures(bagel):
    (maps,) = bagel.maps(torch.zeros(2, 3, 64, 64))
    assert maps.shape == (2, 48, 4, 4)
    with pytest.raises(ValueError, match="no heads that read attributes"):
        bagel.read(torch.zeros(1, 3, 64, 64))


def test_losses_of_conversations(bagel, folder):
    losses = bagel.text_losses(TALKS, folder)
    counts = [sum(len(bagel.tokenizer.text(s.value).ids) - 1 for s in talk if s.loss) for talk in TALKS]
    assert [len(each) for each in losses] == counts
    assert all(0 < float(each.mean()) < 3 * math.log(49160) for each in losses)
    for talk_, together in zip(TALKS, losses, strict=True):
        assert torch.allclose(bagel.text_losses([talk_], folder)[0], together, atol=1e-4)


def test_a_picture_in_a_conversation_counts(bagel, folder):
    without = [segment for segment in TALKS[1] if segment.type == "text"]
    with_it, without_it = bagel.text_losses([TALKS[1], without], folder)
    assert (with_it - without_it).abs().max() > 1e-3


def test_losses_agree_with_greedy_replies(bagel, folder):
    """Greedy tokens have a lower loss than others."""
    (reply,) = bagel.reply([[Turn(role="user", text="Hi")]], max_tokens=6, temperature=0.0, seed=0)
    (greedy,) = bagel.text_losses([talk(("Hi", False), (reply, True))], folder)
    (other,) = bagel.text_losses([talk(("Hi", False), ("Quite another text", True))], folder)
    assert greedy[:2].max() < other[:2].min()


def test_replies_are_batch_invariant(bagel):
    turns = [[WHO, Turn(role="user", text=text)] for text in ("Hi", "What do you like to eat?")]
    options = {"max_tokens": 5, "temperature": 0.8, "seed": 3}
    both = bagel.reply(turns, **options)
    assert both == [bagel.reply([each], **options)[0] for each in turns]
    assert bagel.reply(turns[:1], **{**options, "seed": 4}) != both[:1]
    shown = [WHO, Turn(role="user", image=Image.new("RGBA", (30, 50))), Turn(role="user", text="Hi")]
    assert bagel.reply([shown], **options) != both[:1]


def test_one_training_step_reaches_both_components(folder):
    model = load_bagel(folder)
    add_adapters(model, und=LoraSettings(rank=2), gen=LoraSettings(rank=2), seed=0)
    before = velocity(model, PROMPTS[:1]).detach()
    text = torch.cat(model.text_losses(TALKS, folder)).mean()
    picture = velocity(model, PROMPTS[:1], each=2).square().mean()
    (text + picture).backward()
    for component in (model.und, model.gen):
        ups = {name: p.grad for name, p in trainable(component).items() if "lora_B" in name}
        assert len(ups) == 3 * 7
        assert all(grad is not None and grad.any() for grad in ups.values())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    optimizer.step()
    assert not torch.equal(velocity(model, PROMPTS[:1]), before)
    assert torch.cat(model.text_losses(TALKS, folder)).mean() < text


def test_checkpointed_layers_have_the_same_gradients(tuned):
    gradients = []
    for checkpointing in (True, False):
        tuned._experts()[0].checkpointing = checkpointing
        tuned.zero_grad()
        velocity(tuned, PROMPTS[:2], each=2).square().mean().backward()
        gradients.append([p.grad for p in tuned.gen.parameters() if p.requires_grad])
        assert all(p.grad is None for p in tuned.und.parameters())
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_pictures_do_not_depend_on_text_adapters(tuned, bagel):
    with tuned.base_pictures():
        assert torch.allclose(velocity(tuned, PROMPTS), velocity(bagel, PROMPTS), atol=1e-6)
    assert not torch.allclose(velocity(tuned, PROMPTS), velocity(bagel, PROMPTS), atol=1e-2)
    question = [[WHO, Turn(role="user", text="Hi")]]
    options = {"max_tokens": 5, "temperature": 0.0, "seed": 0}
    with tuned.base_text():
        assert tuned.reply(question, **options) == bagel.reply(question, **options)
    assert tuned.reply(question, **options) != bagel.reply(question, **options)
    assert trainable(tuned.und) and trainable(tuned.gen)


def test_what_is_too_long_is_named(tmp_path):
    small = load_bagel(make_bagel(tmp_path / "small", max_position_embeddings=40))
    with pytest.raises(
        ValueError, match=r"starting 'Once upon a time.*' has \d+ tokens, BAGEL reads at most 40: shorten it"
    ):
        small.prompt_context(["Once upon a time, " * 20])
    with pytest.raises(ValueError, match=r"has 4 tokens and its reply up to 50 more, BAGEL holds 40"):
        small.reply([[Turn(role="user", text="Hi there")]], max_tokens=50, temperature=0.0, seed=0)


@pytest.mark.parametrize(
    ("part", "use", "message"),
    [
        (
            "und.layers.1.mlp.up_proj",
            lambda m, f: m.reply([[WHO]], max_tokens=2, temperature=0.0, seed=0),
            r"text expert \(und\)",
        ),
        ("und.norm", lambda m, f: m.text_losses(TALKS[:1], f), r"text expert \(und\)"),
        (
            "gen.vae2llm",
            lambda m, f: m.sample_latents(m.prompt_context(["x"]), [1], steps=1, guidance=1.0, shift=1.0),
            r"\(gen\)",
        ),
        ("vision.connector.fc2", lambda m, f: m.text_losses(TALKS[1:2], f), "vision tower"),
        ("vae.encoder.conv_out", lambda m, f: m.encode_images([Image.new("RGB", (64, 64))]), "autoencoder"),
        ("vae.decoder.conv_out", lambda m, f: m.decode_latents(torch.zeros(1, 16, 8, 8)), "autoencoder"),
    ],
)
def test_a_part_that_produces_nan_is_named(folder, part, use, message):
    model = load_bagel(folder)
    model.get_submodule(part).weight.data.fill_(math.nan)
    with pytest.raises(ValueError, match=message):
        use(model, folder)
