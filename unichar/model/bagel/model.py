"""BAGEL-7B-MoT as a unified model; `unichar.model.load.load_model` loads one from a published folder.

As in the paper, the tuned text expert also encodes image prompts, so text adapters move what is drawn.
Departs from the paper's code where the `UnifiedModel` protocol asks for it: latents of a picture are the
posterior mean; a generated picture depends on its own seed alone, but for rounding. An empty prompt is no
text at all, which is what BAGEL was trained to generate from without a prompt.

Inputs and outputs of the public methods are fp32; inside, the model's own device and type are used. Outputs
are on the CPU, but velocities and drawn latents are where the latents or the noise came from.

Shape letters: P prompts, B pictures, h/w latent cells, H/W pixels, N latent tokens, D width, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unichar.errors import UserError
from unichar.model.bagel.adapters import export_adapters
from unichar.model.bagel.autoencoder import Autoencoder
from unichar.model.bagel.config import LATENT_CHANNELS, PIXELS, BagelConfig
from unichar.model.bagel.context import Context, empty_context, join_contexts
from unichar.model.bagel.conversations import (
    as_elements,
    check_length,
    check_reply,
    from_segments,
    group_by_length,
)
from unichar.model.bagel.decoder import TextExpert
from unichar.model.bagel.decoding import NAN_LOGITS, REPLIES, ReplyCache, decode, finite
from unichar.model.bagel.drawing import DRAWN_TOKENS, NAN_VELOCITY, chunks, draw_tokens, token_velocity
from unichar.model.bagel.generation import GenerationExpert, to_latents, to_tokens
from unichar.model.bagel.packing import IGNORED, Element, Packed, pack
from unichar.model.bagel.pictures import seen_in_replies, seen_in_training
from unichar.model.bagel.reading import read_packed
from unichar.model.bagel.sampling import Guidance
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.model.bagel.vision import ImageEncoder
from unichar.model.components import has_room_for_copies, merged_adapters, unwrapped, without_adapters
from unichar.model.pixels import check_image_size, to_pixels
from unichar.model.protocol import Turn
from unichar.training.seeds import torch_rng
from unichar.types import Segment

NAME = "ByteDance-Seed/BAGEL-7B-MoT"
_LAYER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class BagelModel(nn.Module):
    """See `unichar.model.protocol.UnifiedModel` for what the methods promise."""

    def __init__(self, config: BagelConfig, tokenizer: BagelTokenizer, *, image_size: int) -> None:
        """
        Raises:
            UserError: The position table is too small for pictures of that size.
        """
        super().__init__()
        largest = config.latent_side * PIXELS
        if image_size % PIXELS or not PIXELS <= image_size <= largest:
            raise UserError(
                f"image_size is {image_size}, expected a multiple of {PIXELS} from {PIXELS} to {largest}, "
                "where this BAGEL's positions end"
            )

        self.config, self.tokenizer, self.image_size = config, tokenizer, image_size
        self.lora_targets: Mapping[str, tuple[str, ...]] = {"und": _LAYER, "gen": _LAYER}
        self.adapter_bases: Mapping[str, str] = {"und": NAME, "gen": NAME}
        self.pictures_follow_text = True
        self.guidance = Guidance()
        """Of `sample_latents`, which replaces its text scale."""
        self.batch = max(1, DRAWN_TOKENS // (image_size // PIXELS) ** 2)
        """Pictures that `sample_latents` and `draw` make together; fewer take less memory."""
        self.replies = REPLIES
        """Conversations that `reply` decodes together; fewer take less memory."""

        self.und: nn.Module = TextExpert(config.text)
        self.gen: nn.Module = GenerationExpert(config)
        self.vision = ImageEncoder(config)
        self.vae = Autoencoder(config.autoencoder_width)

    def base_text(self) -> AbstractContextManager[None]:
        """Disables the text expert's adapters within the context."""
        return without_adapters(self.und)

    def base_pictures(self) -> AbstractContextManager[None]:
        """Disables the generation expert's adapters within the context."""
        return without_adapters(self.gen)

    def merged_pictures(self) -> AbstractContextManager[None]:
        """Merges the generation expert's adapters within the context where the device has room for a copy."""
        return merged_adapters(self.gen) if has_room_for_copies(self) else nullcontext()

    def _experts(self) -> tuple[TextExpert, GenerationExpert]:
        """Both experts inside their adapters."""
        und, gen = unwrapped(self.und), unwrapped(self.gen)
        assert isinstance(und, TextExpert) and isinstance(gen, GenerationExpert)
        return und, gen

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._experts()[0].embed_tokens.weight.device

    @torch.no_grad()
    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Latents [B, 16, h, w] of RGB pictures.

        Raises:
            UserError: A picture is not `image_size` pixels square, or the autoencoder produces NaN.
        """
        check_image_size(images, self.image_size, verb="expected")
        weight = self.vae.encoder.conv_in.weight
        # One at a time: activations at 1024 pixels are large.
        encoded = [self.vae.encode(to_pixels([image]).to(weight.device, weight.dtype)) for image in images]

        latents = torch.cat(encoded).float().cpu()
        return finite(latents, "the autoencoder (ae.safetensors) makes NaN of a picture")

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1].

        Raises:
            UserError: The autoencoder produces NaN.
        """
        weight = self.vae.decoder.conv_in.weight
        decoded = [self.vae.decode(x.to(weight.device, weight.dtype)).float().cpu() for x in latents.split(1)]

        pixels = finite(torch.cat(decoded), "the autoencoder (ae.safetensors) makes NaN of latents")
        return pixels.clamp(-1, 1)

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Unsupported.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "BAGEL has no heads that read attributes of toons: use another encoder, or train photographs"
        )

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature map of the vision tower, [B, D, rows, columns], of pixels [B, 3, H, W]."""
        tower = self.vision.vision_model
        side = min(pixels.shape[-1] // tower.patch, tower.side) * tower.patch
        resized = F.interpolate(pixels, size=side, mode="bicubic", antialias=True).clamp(-1, 1)
        return [torch.stack([self.vision.map(picture).float().cpu() for picture in resized])]

    def prompt_context(self, prompts: Sequence[str]) -> Context:
        """Context of P prompts, read with the text adapters, if there are any.

        Gradients reach adapters that are trained, unless the caller disables gradients. Then all prompts are
        encoded in one pass; else each is encoded alone, so that contexts are batch-invariant to the bit.

        Raises:
            UserError: A prompt is longer than the decoder's context.
        """
        texts = [prompt for prompt in dict.fromkeys(prompts) if prompt]
        elements = [[self.tokenizer.text(text)] for text in texts]
        trains = torch.is_grad_enabled() and any(p.requires_grad for p in self.und.parameters())
        lengths = [each[0].length for each in elements]
        groups = group_by_length(lengths) if trains else [[index] for index in range(len(texts))]

        contexts = {"": self._empty()}
        for group in groups:
            read = self._read([elements[index] for index in group])
            contexts |= {texts[index]: read.select(slice(i, i + 1)) for i, index in enumerate(group)}
        return join_contexts([contexts[prompt] for prompt in prompts])

    @torch.no_grad()
    def read_context(
        self, elements: Sequence[Element], *, seen: Sequence[Tensor] = (), latents: Sequence[Tensor] = ()
    ) -> Context:
        """Context of one conversation, with the adapters that are enabled.

        Args:
            elements: Texts, seen and clean pictures.
            seen: Pixels [3, H, W] of the seen pictures.
            latents: Latents [16, h, w] of the clean ones, without noise.

        Raises:
            UserError: It is longer than the decoder's context.
        """
        if not elements:
            return self._empty()
        return self._read([elements], seen, latents)

    def _empty(self) -> Context:
        return empty_context(self.config.text, self._experts()[0].embed_tokens.weight)

    def _read(
        self,
        conversations: Sequence[Sequence[Element]],
        seen: Sequence[Tensor] = (),
        latents: Sequence[Tensor] = (),
    ) -> Context:
        """Context of conversations read in one pass; several of them must be without clean pictures, whose
        latents stand apart from the conversation's other tokens.
        """
        packed = self._pack(conversations)
        _, kept = read_packed(self._experts(), self.vision, packed, seen, latents, keep=True)

        lengths = [sum(element.length for element in elements) for elements in conversations]
        split = [(k.split(lengths, dim=1), v.split(lengths, dim=1)) for k, v in kept]
        pasts = [tuple((k[i], v[i]) for k, v in split) for i in range(len(lengths))]
        return Context(tuple(pasts), torch.tensor(packed.next, device=self.device))

    def _pack(self, conversations: Sequence[Sequence[Element]]) -> Packed:
        """Conversations as one sequence; none may be longer than the decoder's context."""
        for elements in conversations:
            check_length(elements, self.tokenizer, self.config.text.max_position_embeddings)
        return pack(conversations, self.tokenizer.special)

    def velocity(self, latents: Tensor, t: Tensor, context: Context) -> Tensor:
        """v = eps - x0 [B, 16, h, w], on the device of the latents, at times t [B]; the pictures of a prompt
        are adjacent.

        Raises:
            ValueError: Pictures exceed the position table, or their number is no multiple of the prompts'.
        """
        self._check(latents, context)
        grid, rows = _grid(latents), context.per_picture(len(latents))
        tokens = to_tokens(latents.to(self.device))
        return to_latents(self.token_velocity(tokens, t.to(self.device), rows, grid), grid).to(latents.device)

    def _check(self, latents: Tensor, context: Context) -> None:
        grid = _grid(latents)
        if max(grid) > self.config.latent_side or len(latents) % len(context):
            raise ValueError(
                f"{len(latents)} pictures of {grid[0]} x {grid[1]} tokens for {len(context)} prompts: "
                f"expected as many for each prompt, of at most {self.config.latent_side} tokens on a side"
            )

    def token_velocity(self, tokens: Tensor, t: Tensor, context: Context, grid: tuple[int, int]) -> Tensor:
        """`velocity` of latent tokens [B, N, 64] on the model's device; `grid` is (rows, columns) of tokens.

        The context has a row per picture; times t are [B], or [1] where all pictures have the same. Nothing
        here waits for the device.
        """
        return token_velocity(self._experts(), self.tokenizer.special, tokens, t, context, grid)

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """x_1 of sampling, [B, 16, h, w]; each picture's noise depends on its seed alone."""
        shape = (LATENT_CHANNELS, self.image_size // 8, self.image_size // 8)
        return torch.stack([torch.randn(shape, generator=torch_rng(seed, "noise")) for seed in seeds])

    @torch.no_grad()
    def sample_latents(
        self, context: Context, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Latents [B, 16, h, w], `batch` pictures at a time; `guidance` is the text scale, 1 is none.

        Raises:
            UserError: The generation expert predicts NaN.
        """
        return self.draw(
            self.start_noise(seeds),
            context,
            without_text=self.prompt_context([""]),
            guidance=replace(self.guidance, text=guidance),
            steps=steps,
            shift=shift,
        )

    @torch.no_grad()
    def draw(
        self,
        noise: Tensor,
        context: Context,
        *,
        without_text: Context,
        without_image: Context | None = None,
        guidance: Guidance,
        steps: int,
        shift: float,
    ) -> Tensor:
        """Latents of noise [B, 16, h, w], `batch` pictures at a time, guided away from contexts without the
        last text or without the pictures.

        Each context has one row for all pictures, or as many rows as there are prompts; the pictures of a
        prompt are adjacent.

        Raises:
            UserError: The generation expert predicts NaN.
            ValueError: Pictures exceed the position table, or their number is no multiple of the prompts'.
        """
        for given in (context, without_text, without_image):
            if given is not None:
                self._check(noise, given)

        grid = _grid(noise)
        tokens = draw_tokens(
            lambda x, t, given: self.token_velocity(x, t, given, grid),
            to_tokens(noise.to(self.device)),
            context,
            without_text=without_text,
            without_image=without_image,
            guidance=guidance,
            steps=steps,
            shift=shift,
            batch=self.batch,
        )
        return finite(to_latents(tokens, grid).to(noise.device), NAN_VELOCITY)

    def export_adapters(self, folder: Path) -> None:
        """Write saved adapters once more, by the names of the published tensors: see `adapters.py`."""
        export_adapters(folder)

    def text_losses(self, conversations: Sequence[Sequence[Segment]], folder: Path) -> list[Tensor]:
        """Cross-entropy of every token that carries a loss, one tensor per conversation.

        Raises:
            UserError: A conversation is longer than the decoder's context, or the decoder predicts NaN.
        """
        sizing = seen_in_training(self.config.vision.patch_size, self.config.vision.image_size)
        prepared = []
        for segments in conversations:
            turns = from_segments(segments, folder, self.image_size)
            has_loss = [segment.loss for segment in segments]
            prepared.append(as_elements(turns, self.tokenizer, sizing, has_loss=has_loss))

        losses: list[Tensor] = []
        lengths = [sum(element.length for element in elements) for elements, _ in prepared]
        for group in group_by_length(lengths):
            elements = [prepared[index][0] for index in group]
            seen = [pixels for index in group for pixels in prepared[index][1]]
            joined = self._token_losses(self._pack(elements), seen)
            losses += joined.split([sum(len(e.ids) - 1 for e in each if e.has_loss) for each in elements])
        return losses

    def _token_losses(self, packed: Packed, seen: Sequence[Tensor]) -> Tensor:
        """Cross-entropy of every label of a packed sequence, in order."""
        hidden, _ = read_packed(self._experts(), self.vision, packed, seen)
        places = (packed.labels != IGNORED).nonzero()[:, 0]  # found on the CPU, so that no GPU is waited for
        logits = self._experts()[0].lm_head(hidden[0][0][places.to(self.device)]).float()  # [labels, V]
        labels = packed.labels[places].to(self.device)
        return finite(F.cross_entropy(logits, labels, reduction="none").cpu(), NAN_LOGITS)

    @torch.no_grad()
    def reply(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        max_tokens: int = 60,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next message of each conversation; greedy at temperature 0.

        Each is read alone; then `replies` of them are decoded together, which changes nothing but rounding.

        Raises:
            UserError: A conversation with its reply exceeds the decoder's context, or the decoder predicts
                NaN.
        """
        answers = []
        for rows in chunks(len(conversations), self.replies):
            cache = self._prefill(conversations[rows], max_tokens, rows.start)
            draws = []
            for turns in conversations[rows]:
                generator = torch_rng(seed, "reply", *(turn.text for turn in turns))
                draws.append(torch.rand(max_tokens, generator=generator, dtype=torch.float64))

            ids = decode(
                self._experts()[0],
                cache,
                self.tokenizer.special,
                max_tokens=max_tokens,
                temperature=temperature,
                uniform=torch.stack(draws),
            )
            answers += [self.tokenizer.decode(each) for each in ids]
        return answers

    def _prefill(self, conversations: Sequence[Sequence[Turn]], max_tokens: int, first: int) -> ReplyCache:
        """The cache of conversations to reply to, the first of which is number `first` of all."""
        sizing = seen_in_replies(self.config.vision.patch_size, self.config.vision.image_size)
        prepared = [as_elements(turns, self.tokenizer, sizing) for turns in conversations]
        lengths = [sum(element.length for element in elements) for elements, _ in prepared]

        for number, length in enumerate(lengths, first):
            check_reply(number, length, max_tokens, self.config.text.max_position_embeddings)

        cache = ReplyCache(self._experts()[0], len(lengths), longest=max(lengths), max_tokens=max_tokens)
        for row, (elements, seen) in enumerate(prepared):
            cache.put(row, self.read_context(elements, seen=seen))
        return cache


def _grid(latents: Tensor) -> tuple[int, int]:
    """(rows, columns) of latent tokens of latents [..., h, w]."""
    return latents.shape[-2] // 2, latents.shape[-1] // 2
