"""What a base is worth on toons it has never seen: the numbers of its card."""

import random

import torch
from torch import Tensor, nn

from unichar.judges.alignment import AttributeAlignment
from unichar.model.nano.backbone import load_backbone
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.model import NanoModel
from unichar.model.nano.pretrain.readers import measure as measure_reader
from unichar.model.nano.pretrain.world import sample_toon
from unichar.model.pixels import to_pixels
from unichar.model.protocol import Turn
from unichar.toons.spec import IDENTITY
from unichar.toons.words import caption, describe, questions, visible

SEED = 20_000
COUNT = 48


def measure_base(parts: dict[str, nn.Module], shape: NanoConfig) -> dict[str, float]:
    """PSNR of the VAE, accuracy of the readers, alignment of generated pictures by the examiner, exact-match visual QA."""
    und, tokenizer = load_backbone()
    model = NanoModel(shape, und, tokenizer)
    model.vae, model.vision, model.connector, model.gen = (parts[n] for n in ("vae", "vision", "connector", "expert"))  # type: ignore[assignment]
    model.eval()
    rng = random.Random(SEED)
    toons = [sample_toon(rng, shape.image_size) for _ in range(COUNT)]
    pixels = to_pixels([toon.image for toon in toons])
    numbers = {"vae_psnr_db": float(psnr(pixels, model.decode_latents(model.encode_images([toon.image for toon in toons]))))}
    for name in ("vision", "examiner"):
        accuracy = measure_reader(parts[name], count=500, seed=SEED)  # type: ignore[arg-type]
        numbers |= {f"{name}_accuracy": sum(accuracy.values()) / len(accuracy), f"{name}_worst": min(accuracy.values())}
    context = model.prompt_context([caption(describe(toon.identity), toon.scene, rng) for toon in toons])
    drawn = model.decode_latents(model.sample_latents(context, range(COUNT), steps=16, guidance=2.0, shift=2.0))
    judge = AttributeAlignment(_AsEye(parts["examiner"]), soft=False)
    numbers["scene_alignment"] = float(judge.score(drawn, [visible(t.identity, t.scene) for t in toons]).mean())
    numbers["identity_alignment"] = _identity_hits(parts["examiner"], drawn, [visible(t.identity, t.scene) for t in toons])
    right = total = 0
    for toon in toons[:24]:
        asked = rng.sample(questions(toon.identity, toon.scene, rng), 3)
        turns = [[Turn(role="user", image=toon.image), Turn(role="user", text=question)] for _, question, _ in asked]
        answers = model.reply(turns, max_tokens=6, temperature=0.0, seed=0)
        right += sum(a.strip().lower() == truth for a, (_, _, truth) in zip(answers, asked, strict=True))
        total += len(asked)
    return numbers | {"vqa_exact_match": right / total}


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of pixels in [-1, 1]."""
    return 10 * torch.log10(4 / (a - b).square().mean())


def _identity_hits(examiner: nn.Module, drawn: Tensor, wanted: list[dict[str, str]]) -> float:
    with torch.no_grad():
        logits = examiner.read(drawn)  # type: ignore[operator]
    hits = [
        float(logits[name][row].argmax() == values.index(seen[name]))
        for name, values in IDENTITY.items()
        for row, seen in enumerate(wanted)
        if name in seen
    ]
    return sum(hits) / len(hits)


class _AsEye:
    """The examiner as the judges expect an eye."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net

    @torch.no_grad()
    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        return self._net.read(pixels)  # type: ignore[operator]

    def maps(self, pixels: Tensor) -> list[Tensor]:
        raise AssertionError("alignment reads attributes only")
