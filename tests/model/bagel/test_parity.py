"""Our BAGEL against the published code and NVIDIA's port, on the same tiny weights. See `make_fixtures.py`.

`REPORT=1 pytest tests/model/bagel/test_parity.py -s` prints the table of docs/bagel.md.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from factories_bagel import GRIDS, IDS, SAMPLES, SIZES, TIMES, WIDTH, picture, tiny_model, tiny_tensor
from safetensors.torch import load_file
from torch import Tensor

from unichar.model.bagel.attention import within
from unichar.model.bagel.autoencoder import Autoencoder
from unichar.model.bagel.decoder import run_experts
from unichar.model.bagel.decoding import ReplyCache, decode
from unichar.model.bagel.generation import to_latents, to_tokens
from unichar.model.bagel.model import BagelModel
from unichar.model.bagel.packing import PATCH, Element, pack
from unichar.model.bagel.pictures import Sizing, seen_in_replies, seen_in_training
from unichar.model.bagel.sampling import Guidance
from unichar.model.flow import add_noise

FIXTURES = Path(__file__).parent / "fixtures"
SOURCES = ("original", "nemo")
DRAWN_PICTURES = ("clean", "noisy", "noisy2")


@pytest.fixture(scope="module")
def bagel() -> BagelModel:
    return tiny_model()


@pytest.fixture(scope="module", params=SOURCES)
def expected(request) -> Iterator[dict[str, Tensor]]:
    answers = load_file(FIXTURES / f"{request.param}.safetensors")
    answers["source"] = request.param
    yield answers


def check(expected: dict[str, Tensor], name: str, ours: Tensor, *, within: float = 1e-5) -> None:
    difference = (ours - expected[name]).abs().max().item()
    if os.environ.get("REPORT"):
        print(f"| {name} | {expected['source']} | {difference:.1e} |")
    assert ours.shape == expected[name].shape
    assert difference <= within


def elements(sample: list[str]) -> list[Element]:
    return [
        Element(kind="text", ids=tuple(IDS[int(name[-1])]))
        if name.startswith("text")
        else Element(kind=name.rstrip("2"), tokens=GRIDS[name][0] * GRIDS[name][1])
        for name in sample
    ]


def latent(name: str) -> Tensor:
    return picture(name, 1, 16, 2 * GRIDS[name][0], 2 * GRIDS[name][1])


def seen_pixels() -> Tensor:
    """The picture whose patches are `picture("seen", 12, 588)`."""
    rows, columns = GRIDS["seen"]
    return (
        picture("seen", 12, 588)
        .view(rows, columns, 14, 14, 3)
        .permute(4, 0, 2, 1, 3)
        .reshape(3, 14 * rows, 14 * columns)
    )


@torch.no_grad()
def run_packed(bagel: BagelModel) -> tuple[Tensor, Tensor]:
    """Logits of all text tokens, and velocities of the noisy pictures, of all samples in one sequence."""
    packed = pack([elements(sample) for sample in SAMPLES], bagel.tokenizer.special)
    parts = []
    for name, t in zip(DRAWN_PICTURES, (0.0, *TIMES), strict=True):
        clean = to_tokens(latent(name))
        noise = picture(f"noise of {name}", clean.shape[1], 64)[None]
        parts.append(bagel.gen.embed(clean + t * (noise - clean), torch.tensor([t]), GRIDS[name]))
    text = bagel.und.embed_tokens(packed.ids.clamp(min=0))
    text = text.masked_scatter((packed.ids == PATCH)[:, None], bagel.vision(seen_pixels()))
    (und, gen), _ = run_experts(
        [bagel.und, bagel.gen],
        [text[None], torch.cat(parts, dim=1)],
        packed.positions[None],
        within(packed.spans, packed.order),
    )
    noisy = gen[0, GRIDS["clean"][0] * GRIDS["clean"][1] :]
    return bagel.und.lm_head(und[0][packed.ids != PATCH]), bagel.gen.llm2vae(noisy)


def test_logits_after_texts_and_pictures(bagel, expected):
    check(expected, "logits", run_packed(bagel)[0])


def test_velocities_of_noisy_pictures(bagel, expected):
    check(expected, "velocities", run_packed(bagel)[1])


def test_the_cached_path_gives_the_same_velocities(bagel, expected):
    before = [element for element in elements(SAMPLES[0]) if element.kind != "noisy"]
    context = bagel.read_context(before, seen=[seen_pixels()], latents=[latent("clean")[0]])
    noise = to_latents(picture("noise of noisy", 6, 64)[None], GRIDS["noisy"])
    t = torch.tensor(TIMES[:1])
    ours = to_tokens(bagel.velocity(add_noise(latent("noisy"), noise, t), t, context))[0]
    assert (ours - expected["velocities"][:6]).abs().max() <= 1e-5


def test_the_vision_tower_and_connector(bagel, expected):
    features = bagel.vision.vision_model(seen_pixels())
    check(expected, "eyes", features)
    check(expected, "connected", bagel.vision.connector(features))


def test_times_and_positions(bagel, expected):
    rows = torch.arange(0, 4096, 157)
    check(expected, "times", bagel.gen.time_embedder(torch.tensor([0.0, 0.25, 0.7, 1.0])))
    check(expected, "latent_table", bagel.gen.latent_pos_embed.pos_embed[rows])
    check(expected, "vit_table", bagel.vision.vit_pos_embed.pos_embed[rows])


@torch.no_grad()
def test_the_autoencoder(expected):
    autoencoder = Autoencoder(WIDTH).eval()
    for name, tensor in autoencoder.state_dict().items():
        tensor.copy_(tiny_tensor(name, tensor.shape))
    check(expected, "encoded", autoencoder.encode(picture("pixels", 2, 3, 32, 48).tanh()))
    check(expected, "decoded", autoencoder.decode(picture("latents", 2, 16, 4, 6)))


@pytest.fixture(scope="module")
def original() -> dict[str, Tensor]:
    return load_file(FIXTURES / "original.safetensors") | {"source": "original"}  # type: ignore[dict-item]


def edit_contexts(bagel: BagelModel):
    """(full, without the text, without the pictures) of a clean and a seen picture and a text."""
    text = Element(kind="text", ids=tuple(IDS[0]))
    pictures = [Element(kind="clean", tokens=6), Element(kind="seen", tokens=12)]
    given = {"seen": [picture("seen pixels", 3, 56, 42)], "latents": [picture("clean", 16, 4, 6)]}
    return (
        bagel.read_context([*pictures, text], **given),
        bagel.read_context(pictures, **given),
        bagel.read_context([text]),
    )


@pytest.mark.parametrize("renorm", ["global", "channel", "text_channel"])
def test_an_edit_guided_by_text_and_pictures(bagel, original, renorm):
    full, without_text, without_image = edit_contexts(bagel)
    drawn = bagel.draw(
        to_latents(picture("start", 6, 64)[None], (3, 2)),
        full,
        without_text=without_text,
        without_image=without_image,
        guidance=Guidance(text=4.0, image=2.0, renorm=renorm),
        steps=6,
        shift=3.0,
    )
    check(original, f"edit_{renorm}", to_tokens(drawn)[0])


def test_a_picture_from_text(bagel, original):
    context = bagel.read_context([Element(kind="text", ids=tuple(IDS[0]))])
    noise = to_latents(picture("start", 6, 64)[None], (3, 2))
    for name, text in (("drawing", 4.0), ("unguided", 1.0)):
        guidance = Guidance(text=text, interval=(0.0, 1.0))
        drawn = bagel.draw(
            noise, context, without_text=bagel.read_context([]), guidance=guidance, steps=6, shift=3.0
        )
        check(original, name, to_tokens(drawn)[0])


def test_the_norm_is_bounded_per_picture(bagel, original):
    """The published code takes one norm over the batch, which is right for one picture at a time only."""
    context = bagel.read_context([Element(kind="text", ids=tuple(IDS[0]))])
    noise = to_latents(torch.stack([picture("start", 6, 64), 3 * picture("another", 6, 64)]), (3, 2))
    guidance = Guidance(text=4.0, interval=(0.0, 1.0))
    drawn = bagel.draw(
        noise, context, without_text=bagel.read_context([]), guidance=guidance, steps=6, shift=3.0
    )
    check(original, "drawing", to_tokens(drawn)[0])


def test_an_answer_about_a_picture(bagel, original):
    elements = [Element(kind="seen", tokens=12), Element(kind="text", ids=tuple(IDS[1]))]
    context = bagel.read_context(elements, seen=[picture("seen pixels", 3, 56, 42)])
    length = sum(element.length for element in elements)
    cache = ReplyCache(bagel.und, 1, longest=length, max_tokens=8)
    cache.put(0, context)
    never = dataclasses.replace(bagel.tokenizer.special, end=-1)
    (answer,) = decode(bagel.und, cache, never, max_tokens=8, temperature=0.0, uniform=torch.zeros(1, 8))
    assert answer == original["answer"].tolist()


def test_sizes_of_pictures(original):
    rules = {
        "drawn": Sizing(longest=1024, shortest=512, stride=16),
        "seen": seen_in_training(14, 980),
        "replies": seen_in_replies(14, 980),
    }
    for name, rule in rules.items():
        fitted = [rule.fit(*size, pictures=count) for count in (1, 3) for size in SIZES]
        assert fitted == [tuple(size) for size in original[f"sizes_{name}"].tolist()]


def test_the_weights_are_those_of_the_fixtures():
    """If PyTorch ever draws other random numbers, everything above fails, and this test says why."""
    assert tiny_tensor("llm2vae.weight", (1, 3)).tolist() == [[0.07177734375, 0.216796875, -0.09765625]]
