"""BAGEL-7B-MoT as a unified model; `unichar.model.load.load_model` loads one from a published folder.

Departs from the paper's code where the `UnifiedModel` protocol asks for it: image prompts are encoded, and
pictures generated, with the text adapters disabled, so that a character's appearance does not change while
its text adapters train (the paper tunes the text weights that encode prompts); latents of a picture are the
posterior mean; a generated picture depends on its own seed alone. An empty prompt is no text at all, which is
what BAGEL was trained to generate from without a prompt.

Inputs and outputs of the public methods are fp32 on the CPU; inside, the model's own device and type are
used.

Shape letters: P prompts, B pictures, C = 16 latent channels, h/w latent cells, H/W pixels, N latent tokens, D
width, U text tokens, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unichar.errors import UserError
from unichar.model.bagel.autoencoder import Autoencoder
from unichar.model.bagel.config import LATENT_CHANNELS, PIXELS, BagelConfig
from unichar.model.bagel.context import Context, empty_context, join_contexts
from unichar.model.bagel.conversations import as_elements, from_segments, group_by_length
from unichar.model.bagel.decoder import Expert, KeysValues, TextExpert, run_experts
from unichar.model.bagel.decoding import NAN_LOGITS, finite, next_token_logits
from unichar.model.bagel.generation import GenerationExpert, to_latents, to_tokens
from unichar.model.bagel.packing import IGNORED, PATCH, Element, Packed, pack
from unichar.model.bagel.pictures import seen_in_replies, seen_in_training
from unichar.model.bagel.sampling import Guidance, Velocity, sample
from unichar.model.bagel.saving import save_bagel
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.model.bagel.vision import ImageEncoder
from unichar.model.components import unwrapped, without_adapters
from unichar.model.pixels import check_image_size, to_pixels
from unichar.model.protocol import Turn
from unichar.model.sampling import sample_token
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
        self.guidance = Guidance()
        """Of `sample_latents`, which replaces its text scale."""

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
        encoded = []
        for image in images:  # one at a time: activations at 1024 pixels are large
            encoded.append(self.vae.encode(to_pixels([image]).to(weight.device, weight.dtype)))

        latents = torch.cat(encoded).float().cpu()
        return finite(latents, "the autoencoder (ae.safetensors) makes NaN of a picture")

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1].

        Raises:
            UserError: The autoencoder produces NaN.
        """
        weight = self.vae.decoder.conv_in.weight
        decoded = []
        for one in latents.split(1):
            decoded.append(self.vae.decode(one.to(weight.device, weight.dtype)).float().cpu())

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

    @torch.no_grad()
    def prompt_context(self, prompts: Sequence[str]) -> Context:
        """Context of P prompts. Each is encoded alone, so contexts are batch-invariant.

        Raises:
            UserError: A prompt is longer than the decoder's context.
        """
        contexts: dict[str, Context] = {}
        with self.base_text():
            for prompt in dict.fromkeys(prompts):
                contexts[prompt] = self.read_context([self.tokenizer.text(prompt)] if prompt else [])
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
            return empty_context(self.config.text, self._experts()[0].embed_tokens.weight)

        packed = pack([elements], self.tokenizer.special)
        _, kept = self._run(packed, seen, latents, keep=True)
        mask = torch.ones((1, len(packed.positions)), dtype=torch.bool, device=self.device)
        return Context(tuple(kept), mask, torch.tensor(packed.next, device=self.device))

    def _run(
        self, packed: Packed, seen: Sequence[Tensor], latents: Sequence[Tensor] = (), *, keep: bool = False
    ) -> tuple[list[Tensor], list[KeysValues]]:
        """Hidden states [1, tokens, D] per expert of a packed sequence, and its keys and values."""
        limit = self.config.text.max_position_embeddings
        if len(packed.positions) > limit:
            start = self.tokenizer.decode(packed.ids[packed.ids != PATCH][:20].tolist())[:60]
            raise UserError(
                f"the text starting {start!r} has {len(packed.positions)} tokens, BAGEL reads at most "
                f"{limit}: shorten it"
            )

        und, gen = self._experts()
        embedded = und.embed_tokens(packed.ids.clamp(min=0).to(self.device))  # [U, D]
        if seen:
            patches = torch.cat([self.vision(pixels.to(self.device)) for pixels in seen])  # [patches, D]
            finite(patches, "the vision tower (vit_model, connector) makes NaN of a picture")
            is_patch = (packed.ids == PATCH)[:, None].to(self.device)
            embedded = embedded.masked_scatter(is_patch, patches.to(embedded.dtype))

        experts: list[Expert] = [und]
        inputs = [embedded[None]]
        if latents:
            t = torch.zeros(1, device=self.device)  # clean latents are at time 0
            clean = [gen.embed(to_tokens(each[None].to(self.device)), t, _grid(each)) for each in latents]
            experts.append(gen)
            inputs.append(torch.cat(clean, dim=1))

        positions, mask = packed.positions[None].to(self.device), packed.mask[None, None].to(self.device)
        return run_experts(experts, inputs, positions, mask=mask, keep=keep)

    def velocity(self, latents: Tensor, t: Tensor, context: Context) -> Tensor:
        """v = eps - x0 [B, 16, h, w] at times t [B]; the pictures of a prompt are adjacent.

        Raises:
            ValueError: Pictures exceed the position table, or their number is no multiple of the prompts'.
        """
        grid = _grid(latents)
        if max(grid) > self.config.latent_side or len(latents) % len(context):
            raise ValueError(
                f"{len(latents)} pictures of {grid[0]} x {grid[1]} tokens for {len(context)} prompts: "
                f"expected as many for each prompt, of at most {self.config.latent_side} tokens on a side"
            )
        return to_latents(self.token_velocity(to_tokens(latents), t, context, grid), grid)

    def token_velocity(self, tokens: Tensor, t: Tensor, context: Context, grid: tuple[int, int]) -> Tensor:
        """`velocity` of latent tokens [B, N, 64]; `grid` is (rows, columns) of tokens."""
        und, gen = self._experts()
        batch, count = tokens.shape[:2]
        special = self.tokenizer.special
        markers = torch.tensor([special.vision_start, special.vision_end], device=self.device)

        # All tokens of a picture have one position, the one after its prompt.
        positions = context.position.repeat_interleave(batch // len(context))[:, None]  # [B, 1]
        positions = positions.expand(-1, count + 2)  # [B, N + 2]

        with self.base_text():
            text = und.embed_tokens(markers).expand(batch, -1, -1)  # [B, 2, D]
            latent = gen.embed(tokens.to(self.device), t.to(self.device), grid)  # [B, N, D]
            hidden, _ = run_experts(
                [und, gen],
                [text, latent],
                positions,
                mask=context.mask_for(batch, count + 2),
                past=context.past,
                recompute=self.base_text,
            )
        return gen.llm2vae(hidden[1]).float().to(tokens.device)

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """x_1 of sampling, [B, 16, h, w]; each picture's noise depends on its seed alone."""
        shape = (LATENT_CHANNELS, self.image_size // 8, self.image_size // 8)
        return torch.stack([torch.randn(shape, generator=torch_rng(seed, "noise")) for seed in seeds])

    @torch.no_grad()
    def sample_latents(
        self, context: Context, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Latents [B, 16, h, w], one picture at a time; `guidance` is the text scale, 1 is none.

        Raises:
            UserError: The generation expert predicts NaN.
        """
        empty, per_prompt = self.prompt_context([""]), len(seeds) // len(context)
        latents = []
        for number, noise in enumerate(self.start_noise(seeds)):
            one = self.draw(
                noise[None],
                context.select(number // per_prompt),
                without_text=empty,
                guidance=replace(self.guidance, text=guidance),
                steps=steps,
                shift=shift,
            )
            latents.append(one)
        return torch.cat(latents)

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
        """Latents of noise [B, 16, h, w], guided away from contexts without the last text or without the
        pictures.

        Raises:
            UserError: The generation expert predicts NaN.
        """
        grid = _grid(noise)

        def velocity_given(given: Context) -> Velocity:
            return lambda x, t: self.token_velocity(x, t, given, grid)

        tokens = sample(
            to_tokens(noise),
            velocity_given(context),
            steps=steps,
            shift=shift,
            guidance=guidance,
            without_text=velocity_given(without_text),
            without_image=velocity_given(without_image) if without_image is not None else None,
        )
        problem = (
            "the generation expert (gen) draws NaN: its adapters diverged or are damaged; "
            "train them with a lower learning rate"
        )
        return to_latents(finite(tokens, problem), grid)

    def save_merged(self, folder: Path, *, base: Path) -> None:
        """Write the model, adapters merged, into an empty folder; `base` is what it was loaded from."""
        save_bagel(self, folder, base=base)

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
        lengths = [sum(len(e.ids) + e.tokens for e in elements) for elements, _ in prepared]
        for group in group_by_length(lengths):
            elements = [prepared[index][0] for index in group]
            seen = [pixels for index in group for pixels in prepared[index][1]]
            joined = self._token_losses(pack(elements, self.tokenizer.special), seen)
            losses += joined.split([sum(len(e.ids) - 1 for e in each if e.has_loss) for each in elements])
        return losses

    def _token_losses(self, packed: Packed, seen: Sequence[Tensor]) -> Tensor:
        """Cross-entropy of every label of a packed sequence, in order."""
        hidden, _ = self._run(packed, seen)
        has_loss = packed.labels != IGNORED
        logits = self._experts()[0].lm_head(hidden[0][0][has_loss.to(self.device)]).float()  # [labels, V]
        labels = packed.labels[has_loss].to(self.device)
        return F.cross_entropy(finite(logits, NAN_LOGITS), labels, reduction="none").cpu()

    @torch.no_grad()
    def reply(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        max_tokens: int = 60,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next message of each conversation, one at a time; greedy at temperature 0.

        Raises:
            UserError: A conversation with its reply exceeds the decoder's context, or the decoder predicts
                NaN.
        """
        replies = []
        for turns in conversations:
            generator = torch_rng(seed, "reply", *(turn.text for turn in turns))
            replies.append(self._generate(turns, max_tokens, temperature, generator))
        return replies

    def _generate(
        self, turns: Sequence[Turn], max_tokens: int, temperature: float, generator: torch.Generator
    ) -> str:
        """The next message of one conversation."""
        sizing = seen_in_replies(self.config.vision.patch_size, self.config.vision.image_size)
        elements, seen = as_elements(turns, self.tokenizer, sizing)
        context, limit = self.read_context(elements, seen=seen), self.config.text.max_position_embeddings
        if context.mask.shape[1] + max_tokens > limit:
            raise UserError(
                f"a conversation has {context.mask.shape[1]} tokens and its reply up to {max_tokens} more, "
                f"BAGEL holds {limit}: shorten the history or the texts in it"
            )

        und, special = self._experts()[0], self.tokenizer.special
        generated: list[int] = []
        for logits in next_token_logits(und, context, generated, special.begin, max_tokens):
            token = sample_token(logits, temperature, generator)
            if token == special.end:
                break
            generated.append(token)
        return self.tokenizer.decode(generated)


def _grid(latents: Tensor) -> tuple[int, int]:
    """(rows, columns) of latent tokens of latents [..., h, w]."""
    return latents.shape[-2] // 2, latents.shape[-1] // 2
