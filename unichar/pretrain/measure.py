"""What a base is worth on toons it has never seen: the numbers of its card."""

import math
import random
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from unichar.domains.toon.captions import caption, describe, questions, visible
from unichar.domains.toon.draw import draw
from unichar.domains.toon.vocabulary import IDENTITY
from unichar.judges.alignment import AttributeAlignment
from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.judges.diversity import leave_one_out
from unichar.judges.encoders import ClassifierEncoder, perceptual_vectors
from unichar.model.nano.backbone import load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.model import NanoModel
from unichar.model.pixels import to_images, to_pixels
from unichar.model.protocol import Turn
from unichar.model.tokens import collate, render
from unichar.pretrain.readers import measure as measure_reader
from unichar.pretrain.world import Toon, sample_toon
from unichar.types import Segment

SEED = 20_000
COUNT = 48


def measure_base(parts: dict[str, nn.Module], shape: NanoConfig) -> dict[str, float]:
    """PSNR of the VAE, accuracy of the readers, alignment of generated pictures by the examiner, exact-match visual QA."""
    model, examiner = _model(parts, shape), parts["examiner"]
    assert isinstance(examiner, AttributeClassifier)
    eye = ClassifierEncoder(examiner)
    rng = random.Random(SEED)
    toons = [sample_toon(rng, shape.image_size) for _ in range(COUNT)]
    numbers = {"vae_psnr_db": _vae_psnr(model)}
    for name in ("vision", "examiner"):
        accuracy = measure_reader(parts[name], count=500, seed=SEED)  # type: ignore[arg-type]
        numbers |= {
            f"{name}_accuracy": sum(accuracy.values()) / len(accuracy),
            f"{name}_worst": min(accuracy.values()),
        }
    context = model.prompt_context([caption(describe(toon.identity), toon.scene, rng) for toon in toons])
    drawn = model.decode_latents(
        model.sample_latents(context, range(COUNT), steps=16, guidance=2.0, shift=2.0)
    )
    judge = AttributeAlignment(eye, soft=False)
    numbers["scene_alignment"] = float(
        judge.score(drawn, [visible(t.identity, t.scene) for t in toons]).mean()
    )
    numbers["identity_alignment"] = _identity_hits(eye, drawn, [visible(t.identity, t.scene) for t in toons])
    right = total = 0
    for toon in toons:
        asked = rng.sample(questions(toon.identity, toon.scene, rng), 3)
        turns = [
            [Turn(role="user", image=toon.image), Turn(role="user", text=question)]
            for _, question, _ in asked
        ]
        answers = model.reply(turns, max_tokens=6, temperature=0.0, seed=0)
        right += sum(a.strip().lower() == truth for a, (_, _, truth) in zip(answers, asked, strict=True))
        total += len(asked)
    numbers |= {
        "vqa_exact_match": right / total,
        "diversity_to_renders": _diversity_ratio(model, eye, toons[:8]),
    }
    return numbers | {"backbone_perplexity_ratio": _perplexity_ratio(model)}


def _model(parts: dict[str, nn.Module], shape: NanoConfig) -> NanoModel:
    und, tokenizer = load_backbone()
    model = NanoModel(shape, und, tokenizer)
    for name, part in (("vae", "vae"), ("vision", "vision"), ("connector", "connector"), ("gen", "expert")):
        setattr(model, name, parts[part])

    return model.eval().requires_grad_(False)


def _diversity_ratio(model: NanoModel, eye: ClassifierEncoder, toons: list[Toon]) -> float:
    """Diversity of eight pictures of a caption over that of eight renders of the same toon (the figure stands elsewhere)."""
    drawn, rendered = [], []
    for row, toon in enumerate(toons):
        context = model.prompt_context([caption(describe(toon.identity), toon.scene, random.Random(row))])
        latents = model.sample_latents(context, range(8), steps=16, guidance=2.0, shift=2.0)
        drawn.append(perceptual_vectors(eye, model.decode_latents(latents)))
        images = [draw(toon.identity, toon.scene, size=model.image_size, seed=seed) for seed in range(8)]
        rendered.append(perceptual_vectors(eye, model.decode_latents(model.encode_images(images))))
    return float(leave_one_out(torch.stack(drawn)).mean() / leave_one_out(torch.stack(rendered)).mean())


_TALK = ("What is rain?", "Tell me about the sea.", "How do I boil an egg?", "Why do cats purr?")


def _perplexity_ratio(model: NanoModel) -> float:
    """Perplexity, to this model, of the untouched backbone's own replies, over their perplexity to the untouched backbone."""
    untouched, _ = load_backbone()
    ours, theirs = [], []
    for question in _TALK:
        reply = model.reply([[Turn(role="user", text=question)]], max_tokens=60, temperature=0.0, seed=0)[0]
        segments = [Segment(type="text", value=question, role="user")]
        segments.append(Segment(type="text", value=reply, role="assistant", loss=True))
        ours.append(model.text_losses([segments], Path())[0])
        batch = collate([render(segments, model.tokenizer, image_tokens=0)], pad=0)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            theirs.append(untouched(input_ids=batch.ids, labels=batch.labels).loss * len(ours[-1]))
    count = sum(len(losses) for losses in ours)
    return math.exp((sum(float(losses.sum()) for losses in ours) - sum(map(float, theirs))) / count)


def sample_page(parts: dict[str, nn.Module], shape: NanoConfig) -> Image.Image:
    """Eight unseen captions, each with its render (top) and three generated pictures below."""
    model = _model(parts, shape)
    rng = random.Random(SEED + 1)
    toons = [sample_toon(rng, shape.image_size) for _ in range(8)]
    context = model.prompt_context([caption(describe(toon.identity), toon.scene, rng) for toon in toons])
    latents = model.sample_latents(
        context, [seed for _ in toons for seed in range(3)], steps=16, guidance=2.0, shift=2.0
    )
    drawn = to_images(model.decode_latents(latents))
    page = Image.new("RGB", (8 * (shape.image_size + 6), 4 * (shape.image_size + 6)), "white")
    for column, toon in enumerate(toons):
        for row, image in enumerate([toon.image, *drawn[3 * column : 3 * column + 3]]):
            page.paste(image, (column * (shape.image_size + 6) + 3, row * (shape.image_size + 6) + 3))
    return page


def _vae_psnr(model: NanoModel) -> float:
    """Mean over 320 unseen toons."""
    rng = random.Random(SEED)
    found = []
    for _ in range(20):
        images = [sample_toon(rng, model.image_size).image for _ in range(16)]
        found.append(psnr(to_pixels(images), model.decode_latents(model.encode_images(images))))
    return float(torch.cat(found).mean())


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """[B] peak signal-to-noise ratio of pictures [B, 3, H, W] in [-1, 1], in dB."""
    return 10 * torch.log10(4 / (a - b).square().mean(dim=(1, 2, 3)))


def _identity_hits(eye: ClassifierEncoder, drawn: Tensor, wanted: list[dict[str, str]]) -> float:
    logits = eye.read(drawn)
    hits = [
        float(logits[name][row].argmax() == values.index(seen[name]))
        for name, values in IDENTITY.items()
        for row, seen in enumerate(wanted)
        if name in seen
    ]
    return sum(hits) / len(hits)
