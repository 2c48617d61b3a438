"""Metrics of a base on unseen toons, for its training record, and its page of samples."""

import math
import random
from pathlib import Path
from typing import Any

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
from unichar.pretrain.attribute_classifiers import measure as measure_accuracy
from unichar.pretrain.toons import Toon, sample_toon
from unichar.types import Segment

SEED = 20_000
"""Of the unseen toons; no phase uses it."""
COUNT = 48
"""Toons for alignment and visual question answering."""


def measure_base(parts: dict[str, nn.Module], shape: NanoConfig) -> dict[str, float]:
    """Metrics of a base on unseen toons.

    They are the VAE's PSNR, the attribute classifiers' accuracy, the alignment of generated pictures by the
    held-out classifier, exact match in visual question answering, diversity, and the backbone's perplexity
    ratio.
    """
    model, held_out = _model(parts, shape), parts["examiner"]
    assert isinstance(held_out, AttributeClassifier)
    encoder = ClassifierEncoder(held_out)
    rng = random.Random(SEED)
    toons = [sample_toon(rng, shape.image_size) for _ in range(COUNT)]

    numbers = {"vae_psnr_db": _vae_psnr(model)}
    for name in ("vision", "examiner"):
        net: Any = parts[name]
        accuracy = measure_accuracy(net, count=500, seed=SEED, device=model.device)
        numbers[f"{name}_accuracy"] = sum(accuracy.values()) / len(accuracy)
        numbers[f"{name}_worst"] = min(accuracy.values())

    numbers |= _alignment(model, encoder, toons, rng)
    numbers["vqa_exact_match"] = _vqa_exact_match(model, toons, rng)
    numbers["diversity_to_renders"] = _diversity_ratio(model, encoder, toons[:8])
    return numbers | {"backbone_perplexity_ratio": _perplexity_ratio(model)}


def _alignment(
    model: NanoModel, encoder: ClassifierEncoder, toons: list[Toon], rng: random.Random
) -> dict[str, float]:
    """Alignment of one generated picture per toon with its scene and its identity."""
    context = model.prompt_context([caption(describe(toon.identity), toon.scene, rng) for toon in toons])
    latents = model.sample_latents(context, range(len(toons)), steps=16, guidance=2.0, shift=2.0)
    generated = model.decode_latents(latents)

    targets = [visible(toon.identity, toon.scene) for toon in toons]
    judge = AttributeAlignment(encoder, soft=False)
    return {
        "scene_alignment": float(judge.score(generated, targets).mean()),
        "identity_alignment": _identity_accuracy(encoder, generated, targets),
    }


def _vqa_exact_match(model: NanoModel, toons: list[Toon], rng: random.Random) -> float:
    """Share of three questions per toon that are answered exactly."""
    right = total = 0
    for toon in toons:
        asked = rng.sample(questions(toon.identity, toon.scene, rng), 3)
        conversations = []
        for _, question, _ in asked:
            conversations.append([Turn(role="user", image=toon.image), Turn(role="user", text=question)])

        answers = model.reply(conversations, max_tokens=6, temperature=0.0, seed=0)
        for answer, (_, _, expected) in zip(answers, asked, strict=True):
            right += answer.strip().lower() == expected
        total += len(asked)
    return right / total


def _model(parts: dict[str, nn.Module], shape: NanoConfig) -> NanoModel:
    """A model made of the trained parts, on their device."""
    und, tokenizer = load_backbone()
    model = NanoModel(shape, und, tokenizer)
    for name, part in (("vae", "vae"), ("vision", "vision"), ("connector", "connector"), ("gen", "expert")):
        setattr(model, name, parts[part])
    return model.eval().requires_grad_(False).to(model.device)


def _diversity_ratio(model: NanoModel, encoder: ClassifierEncoder, toons: list[Toon]) -> float:
    """Diversity of eight pictures per caption over that of eight renders, which differ in the figure's
    position.
    """
    generated, rendered = [], []
    for index, toon in enumerate(toons):
        prompt = caption(describe(toon.identity), toon.scene, random.Random(index))
        context = model.prompt_context([prompt])
        latents = model.sample_latents(context, range(8), steps=16, guidance=2.0, shift=2.0)
        generated.append(perceptual_vectors(encoder, model.decode_latents(latents)))

        # Renders pass through the VAE too, so that its blur counts on both sides.
        images = [draw(toon.identity, toon.scene, size=model.image_size, seed=seed) for seed in range(8)]
        reconstructed = model.decode_latents(model.encode_images(images))
        rendered.append(perceptual_vectors(encoder, reconstructed))
    return float(leave_one_out(torch.stack(generated)).mean() / leave_one_out(torch.stack(rendered)).mean())


_QUESTIONS = ("What is rain?", "Tell me about the sea.", "How do I boil an egg?", "Why do cats purr?")


def _perplexity_ratio(model: NanoModel) -> float:
    """Perplexity of the plain backbone's own replies under this model, over that under the plain backbone.

    1 means that building the base left the backbone as it was.
    """
    plain, _ = load_backbone()
    plain.to(model.device)  # type: ignore[arg-type]
    ours, plain_nll = [], []
    for question in _QUESTIONS:
        reply = model.reply([[Turn(role="user", text=question)]], max_tokens=60, temperature=0.0, seed=0)[0]
        segments = [Segment(type="text", value=question, role="user")]
        segments.append(Segment(type="text", value=reply, role="assistant", loss=True))
        ours.append(model.text_losses([segments], Path())[0])

        batch = collate([render(segments, model.tokenizer, image_tokens=0)], pad=0)
        ids, labels = batch.ids.to(model.device), batch.labels.to(model.device)
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
            plain_nll.append(plain(input_ids=ids, labels=labels).loss * len(ours[-1]))

    count = sum(len(losses) for losses in ours)
    difference = sum(float(losses.sum()) for losses in ours) - sum(map(float, plain_nll))
    return math.exp(difference / count)


def sample_page(parts: dict[str, nn.Module], shape: NanoConfig) -> Image.Image:
    """Eight unseen captions, each with its render on top and three generated pictures below."""
    model = _model(parts, shape)
    rng = random.Random(SEED + 1)
    toons = [sample_toon(rng, shape.image_size) for _ in range(8)]

    context = model.prompt_context([caption(describe(toon.identity), toon.scene, rng) for toon in toons])
    seeds = [0, 1, 2] * len(toons)
    latents = model.sample_latents(context, seeds, steps=16, guidance=2.0, shift=2.0)
    generated = to_images(model.decode_latents(latents))

    cell = shape.image_size + 6  # a margin of three pixels
    page = Image.new("RGB", (8 * cell, 4 * cell), "white")
    for column, toon in enumerate(toons):
        for row, image in enumerate([toon.image, *generated[3 * column : 3 * column + 3]]):
            page.paste(image, (column * cell + 3, row * cell + 3))
    return page


def _vae_psnr(model: NanoModel) -> float:
    """Mean PSNR over 320 unseen toons, in dB."""
    rng = random.Random(SEED)
    found = []
    for _ in range(20):
        images = [sample_toon(rng, model.image_size).image for _ in range(16)]
        found.append(psnr(to_pixels(images), model.decode_latents(model.encode_images(images))))
    return float(torch.cat(found).mean())


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """[B] peak signal-to-noise ratio of pictures [B, 3, H, W] in [-1, 1], in dB."""
    return 10 * torch.log10(4 / (a - b).square().mean(dim=(1, 2, 3)))


def _identity_accuracy(encoder: ClassifierEncoder, generated: Tensor, targets: list[dict[str, str]]) -> float:
    """Share of visible identity attributes that the classifier finds in the pictures [B, 3, H, W]."""
    logits = encoder.read(generated)
    hits = []
    for name, values in IDENTITY.items():
        for index, target in enumerate(targets):
            if name in target:
                hits.append(float(logits[name][index].argmax() == values.index(target[name])))
    return sum(hits) / len(hits)
