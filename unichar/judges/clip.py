"""CLIP: does a picture fit a text? Cosine of their features, and the same on a scale from 0 to 1.

The paper's reward takes the cosine of ViT-L/14 and cuts prompts at 77 tokens. Here a longer text is cut into pieces at the ends
of its sentences, each compared with the picture; their cosines are averaged by length, so nothing is left out. A cosine moves
within a few hundredths, so it is put on the kit's own scale: 0 is what its pictures have with each other's captions, 1 with their
own. More than 1 is cut off: a picture that fits its text better than real ones do has learned to please CLIP.

Letters: B pictures, R references, D features.
"""

import re
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel

from unichar.judges.published import CHUNK, NoJudge, fit, load_part, load_published

_LEAST_SCALE = 0.01
"""Of cosines between 0 and 1, for kits whose captions all say the same."""
_ENDS = (r"[.!?。！？]+\s*", r"[,;:，；]\s*", r"\s+")
"""Where a text is cut: after a sentence, else after a part of one, else between words."""


class Clip:
    """A published CLIP; `name` is a folder or hub name.

    Raises:
        NoJudge: It can not be loaded.
    """

    def __init__(self, name: str) -> None:
        self._net, self._fitting = load_published(CLIPModel, name, model_type="clip")
        self._tokenizer = load_part(AutoTokenizer, name)
        words = self._net.config.text_config.vocab_size
        if len(self._tokenizer) != words:  # transformers makes an empty one where there is none
            raise NoJudge(
                f"the tokenizer of {name} has {len(self._tokenizer)} words, its weights {words}: get its files again"
            )
        self._limit = self._net.config.text_config.max_position_embeddings
        self._texts: dict[str, Tensor] = {}

    @torch.no_grad()
    def pictures(self, pixels: Tensor) -> Tensor:
        """[B, D] of unit length, on the CPU, of pixels [B, 3, H, W] in [-1, 1]."""
        rows = []
        for chunk in pixels.split(CHUNK):
            seen = self._net.vision_model(pixel_values=fit(self._fitting, chunk)).pooler_output
            rows.append(F.normalize(self._net.visual_projection(seen), dim=1).cpu())
        return torch.cat(rows)

    @torch.no_grad()
    def text(self, text: str) -> Tensor:
        """[D] whose product with a picture's features is their mean cosine over the pieces of the text."""
        if text not in self._texts:
            parts = pieces(text, lambda part: len(self._tokenizer(part).input_ids) <= self._limit)
            tokens = self._tokenizer(parts, padding=True, return_tensors="pt").to(self._net.device)
            read = self._net.text_model(
                input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
            ).pooler_output
            weights = tokens.attention_mask.sum(dim=1, keepdim=True).float()
            features = F.normalize(self._net.text_projection(read), dim=1)
            self._texts[text] = ((features * weights).sum(dim=0) / weights.sum()).cpu()
        return self._texts[text]

    def cosines(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] cosine of every picture with its text."""
        return (self.pictures(pixels) * torch.stack([self.text(text) for text in texts])).sum(dim=1)


class ClipAlignment:
    """A `TextJudge` on the scale of a kit; `references` [R, 3, H, W] with a caption each."""

    def __init__(self, clip: Clip, references: Tensor, captions: Sequence[str]) -> None:
        self._clip = clip
        cosines = clip.pictures(references) @ torch.stack([clip.text(caption) for caption in captions]).T
        own, count = cosines.diagonal(), len(captions)
        others = (cosines.sum() - own.sum()) / (count * (count - 1))
        self.zero = float(others)
        """Mean cosine of the references with each other's captions."""
        self.scale = max(float(own.mean() - others), _LEAST_SCALE)
        """From there to their mean cosine with their own."""

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] in 0..1."""
        return ((self._clip.cosines(pixels, texts) - self.zero) / self.scale).clamp(0, 1)


def pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text in as many parts as it takes for each to fit, cut near the middle."""
    if fits(text) or len(text) < 2:
        return [text]
    cut = _middle(text)
    return pieces(text[:cut].strip(), fits) + pieces(text[cut:].strip(), fits)


def _middle(text: str) -> int:
    """Where to cut: at the best kind of end that lies in the middle half."""
    for end in _ENDS:
        cuts = [
            match.end() for match in re.finditer(end, text) if len(text) <= 4 * match.end() <= 3 * len(text)
        ]
        if cuts:
            return min(cuts, key=lambda cut: abs(2 * cut - len(text)))
    return len(text) // 2
