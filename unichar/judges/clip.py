"""CLIP: does a picture fit a text? The cosine of their features, and the same rescaled to 0..1.

The paper's reward is the cosine of ViT-L/14, with prompts cut at 77 tokens. Here a longer text is split at
the ends of its sentences, each piece is compared with the picture, and the cosines are averaged by length, so
that nothing is left out.

Cosines of CLIP differ by a few hundredths only, so they are rescaled by the kit: 0 is the mean cosine of its
pictures with each other's captions, 1 the mean with their own. Values above 1 are clipped: a picture that
fits its text better than real ones do exploits CLIP.

Letters: B pictures, R references, D features, T tokens.
"""

import re
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel

from unichar.judges.config import MissingJudge
from unichar.judges.published import CHUNK, load_part, load_published, preprocess

_MIN_SCALE = 0.01
"""Of cosines between 0 and 1, for kits whose captions are all alike."""
_BOUNDARIES = (r"[.!?。！？]+\s*", r"[,;:，；]\s*", r"\s+")
"""Where a text is split: after a sentence, else after a clause, else between words."""


class Clip:
    """A published CLIP; `name` is a folder or hub name.

    Raises:
        MissingJudge: It cannot be loaded.
    """

    def __init__(self, name: str) -> None:
        self._net, self._processor = load_published(CLIPModel, name, model_type="clip")
        self._tokenizer = load_part(AutoTokenizer, name)

        # transformers makes an empty tokenizer where there is none.
        size = self._net.config.text_config.vocab_size
        if len(self._tokenizer) != size:
            raise MissingJudge(
                f"the tokenizer of {name} has {len(self._tokenizer)} tokens, its weights {size}: "
                "fetch its files again"
            )

        # Limit in tokens (77 for the published CLIPs), and features of texts that were seen already.
        self._limit = self._net.config.text_config.max_position_embeddings
        self._texts: dict[str, Tensor] = {}

    @torch.no_grad()
    def pictures(self, pixels: Tensor) -> Tensor:
        """Features [B, D] of unit length, on the CPU, of pixels [B, 3, H, W] in [-1, 1]."""
        # Features leave the GPU chunk by chunk; they are small and compared on the CPU.
        rows = []
        for chunk in pixels.split(CHUNK):
            fitted = preprocess(self._processor, chunk)
            pooled = self._net.vision_model(pixel_values=fitted).pooler_output
            rows.append(F.normalize(self._net.visual_projection(pooled), dim=1).cpu())
        return torch.cat(rows)

    @torch.no_grad()
    def text(self, text: str) -> Tensor:
        """[D] whose product with a picture's features is their mean cosine over the pieces of the text."""
        if text not in self._texts:
            parts = pieces(text, lambda part: len(self._tokenizer(part).input_ids) <= self._limit)

            # All pieces in one batch; the mask hides the padding of the shorter ones.
            tokens = self._tokenizer(parts, padding=True, return_tensors="pt").to(self._net.device)
            output = self._net.text_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask)
            features = F.normalize(self._net.text_projection(output.pooler_output), dim=1)  # [pieces, D]

            # The products with a picture add up to the mean cosine, so the sum must not be normalised again.
            lengths = tokens.attention_mask.sum(dim=1, keepdim=True).float()  # [pieces, 1]
            self._texts[text] = ((features * lengths).sum(dim=0) / lengths.sum()).cpu()
        return self._texts[text]

    def cosines(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] cosine of every picture with its text."""
        return (self.pictures(pixels) * torch.stack([self.text(text) for text in texts])).sum(dim=1)


class ClipAlignment:
    """A `TextJudge` rescaled by a kit; `references` [R, 3, H, W], at least two, have a caption each."""

    def __init__(self, clip: Clip, references: Tensor, captions: Sequence[str]) -> None:
        self._clip = clip

        # Every reference with every caption, also those of the others.
        features = torch.stack([clip.text(caption) for caption in captions])  # [R, D]
        cosines = clip.pictures(references) @ features.T  # [R, R]

        # The diagonal holds each picture with its own caption.
        own, count = cosines.diagonal(), len(captions)
        others = (cosines.sum() - own.sum()) / (count * (count - 1))

        # Fixed at construction: rewards of different steps are on one scale.
        self.zero = float(others)
        """Mean cosine of the references with each other's captions."""
        self.scale = max(float(own.mean() - others), _MIN_SCALE)
        """From there to the mean cosine with their own."""

    def score(self, pixels: Tensor, texts: Sequence[str]) -> Tensor:
        """[B] in 0..1."""
        return ((self._clip.cosines(pixels, texts) - self.zero) / self.scale).clamp(0, 1)


def pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text in as few halvings as it takes for each piece to fit."""
    # A single letter cannot be split further; without this bound the recursion might not end.
    if fits(text) or len(text) < 2:
        return [text]
    cut = _middle(text)
    return pieces(text[:cut].strip(), fits) + pieces(text[cut:].strip(), fits)


def _middle(text: str) -> int:
    """Where to split: at the best kind of boundary that lies in the middle half."""
    for boundary in _BOUNDARIES:
        # Splitting inside the middle half keeps both pieces long enough to mean something.
        ends = [match.end() for match in re.finditer(boundary, text)]
        inside = [end for end in ends if len(text) <= 4 * end <= 3 * len(text)]
        if inside:
            return min(inside, key=lambda end: abs(2 * end - len(text)))

    # No boundary near the middle, as in a text without spaces.
    return len(text) // 2
