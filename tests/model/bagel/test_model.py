"""A tiny BAGEL keeps the contract of every unified model."""

import math

import pytest
import torch
from factories_bagel import NoTokenizer, make_bagel, make_config
from factories_model import disturb
from PIL import Image

from unichar.model.bagel.context import Context, join_contexts
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.packing import Element
from unichar.model.bagel.sampling import Guidance
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


def tensors(context: Context) -> list[torch.Tensor]:
    """All cached keys and values."""
    return [tensor for past in context.pasts for layer in past for tensor in layer]


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


def test_contexts_are_batch_invariant(bagel):
    alone = [bagel.prompt_context([prompt]) for prompt in PROMPTS]
    together = bagel.prompt_context([*PROMPTS, ""])
    for row, context in enumerate(alone):
        mine = together.select(slice(row, row + 1))
        assert all(torch.equal(*pair) for pair in zip(tensors(mine), tensors(context), strict=True))
        assert torch.equal(mine.position, context.position)
    assert together.pasts[3][0][0].shape[1] == 0 and together.position[3] == 0


def test_contexts_read_for_training_are_the_same(tuned):
    """With gradients all prompts go through the decoder in one pass."""
    together = tuned.prompt_context([*PROMPTS, "", PROMPTS[0]])
    with torch.no_grad():
        alone = tuned.prompt_context([*PROMPTS, "", PROMPTS[0]])
    assert torch.equal(together.position, alone.position)
    assert together.pasts[0] is together.pasts[4]
    for one, other in zip(tensors(together), tensors(alone), strict=True):
        assert (one - other).abs().sum() <= 1e-5 * other.abs().sum()


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
    assert torch.allclose(drawn[3:], again, atol=1e-4)
    assert not torch.allclose(drawn[2:3], again, atol=0.1)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_pictures_drawn_together_are_those_drawn_alone(bagel, guidance, monkeypatch):
    """For every number of pictures at a time, across prompts of unequal length."""
    settings = {"steps": 3, "guidance": guidance, "shift": 3.0}
    context, seeds = bagel.prompt_context([*PROMPTS, ""]), list(range(8))
    drawn = []
    for batch in (1, 3, 8):
        monkeypatch.setattr(bagel, "batch", batch)
        drawn.append(bagel.sample_latents(context, seeds, **settings))
    assert all(torch.allclose(drawn[0], each, atol=1e-4) for each in drawn[1:])
    for row, prompt in enumerate([*PROMPTS, ""]):
        mine = slice(2 * row, 2 * row + 2)
        alone = bagel.sample_latents(bagel.prompt_context([prompt]), seeds[mine], **settings)
        assert torch.allclose(drawn[2][mine], alone, atol=1e-4)


def test_both_guidances_have_contexts_of_their_own_prompt(bagel, monkeypatch):
    """Two edits of two pictures each, drawn together and one edit after the other."""
    given = [torch.randn(16, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    contexts = []
    for latents, prompt in zip(given, PROMPTS, strict=False):
        clean, text = Element(kind="clean", tokens=16), bagel.tokenizer.text(prompt)
        contexts.append(
            (
                bagel.read_context([clean, text], latents=[latents]),
                bagel.read_context([clean], latents=[latents]),
                bagel.read_context([text]),
            )
        )

    def drawn(noise, full, without_text, without_image):
        return bagel.draw(
            noise,
            full,
            without_text=without_text,
            without_image=without_image,
            guidance=Guidance(text=4.0, image=2.0),
            steps=3,
            shift=3.0,
        )

    noise = bagel.start_noise(range(4))
    monkeypatch.setattr(bagel, "batch", 3)
    together = drawn(noise, *(join_contexts(each) for each in zip(*contexts, strict=True)))
    alone = torch.cat([drawn(noise[2 * i : 2 * i + 2], *contexts[i]) for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-4)
    swapped = drawn(noise, *(join_contexts(each[::-1]) for each in zip(*contexts, strict=True)))
    assert not torch.allclose(together, swapped, atol=0.1)


@pytest.mark.parametrize(("size", "pictures"), [(512, 16), (1024, 4)])
def test_as_many_pictures_are_drawn_together_as_memory_was_planned_for(size, pictures):
    with torch.device("meta"):
        assert BagelModel(make_config(), NoTokenizer(), image_size=size).batch == pictures


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


def test_replies_are_batch_invariant(bagel, monkeypatch):
    turns = [[WHO, Turn(role="user", text=text)] for text in ("Hi", "What do you like to eat?")]
    options = {"max_tokens": 5, "temperature": 0.8, "seed": 3}
    both = bagel.reply(turns, **options)
    assert both == [bagel.reply([each], **options)[0] for each in turns]
    monkeypatch.setattr(bagel, "replies", 2)
    assert bagel.reply([*turns, *turns[:1]], **options) == [*both, both[0]]
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
        both = [*trainable(tuned.und).values(), *trainable(tuned.gen).values()]
        gradients.append([p.grad for p in both if p.grad is not None])
    # Nothing of a picture reads what the text expert's last layer makes of the values it attended to.
    assert len(gradients[0]) == len(both) - 2 * len(("o_proj", "gate_proj", "up_proj", "down_proj"))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_gradients_reach_the_text_adapters_through_the_prompt(tuned):
    """By finite differences along the gradient, in fp64; every layer is checkpointed."""
    tuned.double()
    noise, t = tuned.start_noise([1, 2]).double(), torch.tensor([0.3, 0.8], dtype=torch.float64)
    wanted = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    last = ("layers.2.self_attn.o_proj", "layers.2.mlp")  # nothing of a picture reads their results
    adapters = [p for name, p in trainable(tuned.und).items() if not any(part in name for part in last)]

    def loss() -> torch.Tensor:
        return (tuned.velocity(noise, t, tuned.prompt_context(PROMPTS[:2])) * wanted).mean()

    gradients = torch.autograd.grad(loss(), adapters)
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    values, step = [], 1e-4
    with torch.no_grad():
        for sign in (1, -2):
            for adapter, gradient in zip(adapters, gradients, strict=True):
                adapter += sign * step * gradient / norm
            values.append(loss())
    assert norm > 1e-3
    # Velocities are cast to fp32, which leaves about five digits of a difference.
    assert (values[0] - values[1]).item() / (2 * step) == pytest.approx(norm.item(), rel=1e-2)


def test_contexts_without_gradients_leave_the_markers_alone_to_the_text_adapters(tuned):
    with torch.no_grad():
        context = tuned.prompt_context(PROMPTS[:1])
    assert not any(tensor.requires_grad for tensor in tensors(context))
    assert any(tensor.requires_grad for tensor in tensors(tuned.prompt_context(PROMPTS[:1])))


def test_text_adapters_move_pictures_and_each_switch_takes_its_own_away(tuned, bagel):
    adapted, plain = velocity(tuned, PROMPTS), velocity(bagel, PROMPTS)
    with tuned.base_pictures():
        text_alone = velocity(tuned, PROMPTS)
        with tuned.base_text():
            assert torch.allclose(velocity(tuned, PROMPTS), plain, atol=1e-5)
    assert not torch.allclose(text_alone, plain, atol=1e-2)
    assert not torch.allclose(text_alone, adapted, atol=1e-2)
    question = [[WHO, Turn(role="user", text="Hi")]]
    options = {"max_tokens": 5, "temperature": 0.0, "seed": 0}
    with tuned.base_text():
        assert tuned.reply(question, **options) == bagel.reply(question, **options)
    assert tuned.reply(question, **options) != bagel.reply(question, **options)
    assert trainable(tuned.und) and trainable(tuned.gen)


def test_bf16_talks_and_draws_as_fp32_does_but_for_rounding(folder, bagel):
    """Together and alone, in bf16."""
    small = load_bagel(folder, dtype=torch.bfloat16)
    with torch.no_grad():
        exact, rounded = velocity(bagel, PROMPTS, each=2), velocity(small, PROMPTS, each=2)
    assert rounded.dtype == torch.float32
    assert (exact - rounded).norm() < 0.05 * exact.norm()
    settings = {"steps": 2, "guidance": 4.0, "shift": 3.0}
    assert small.sample_latents(small.prompt_context(PROMPTS), range(6), **settings).isfinite().all()
    questions = [[WHO, Turn(role="user", text=text)] for text in ("Hi", "What do you like to eat?")]
    assert len(small.reply(questions, max_tokens=4, temperature=0.8, seed=1)) == 2


def test_what_is_too_long_is_named(tmp_path):
    small = load_bagel(make_bagel(tmp_path / "small", max_position_embeddings=40))
    with pytest.raises(
        ValueError, match=r"starting 'Once upon a time.*' has \d+ tokens, BAGEL reads at most 40: shorten it"
    ):
        small.prompt_context(["Once upon a time, " * 20])
    short, long = [Turn(role="user", text="Hi")], [Turn(role="user", text="Hi there, how are you today?")]
    with pytest.raises(
        ValueError, match=r"conversation 2 .* has 10 tokens and its reply up to 31 more, BAGEL holds 40"
    ):
        small.reply([short, short, long], max_tokens=31, temperature=0.0, seed=0)


def test_the_limit_is_one_conversations_not_that_of_all_read_together(tmp_path, folder):
    small = load_bagel(make_bagel(tmp_path / "small", max_position_embeddings=40))
    assert len(small.text_losses([TALKS[0]] * 5, folder)) == 5
    assert len(small.prompt_context([f"Picture number {i} of a fox." for i in range(6)])) == 6


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
