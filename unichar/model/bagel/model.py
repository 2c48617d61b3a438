"""BAGEL-7B-MoT as a unified model; `unichar.model.load.load_model` makes one from a published folder.

Departs from the paper's code, for what the line promises of every model: prompts of pictures are read, and pictures drawn, with
the text adapters off, so that a character's looks do not change with its voice (the paper tunes the text weights that read
prompts); a picture's latents are their mean, not a draw; a picture depends on its own seed alone. An empty prompt is no text at
all, which is what BAGEL learned to draw without words from.

Everything comes from and goes to the CPU in fp32; inside, the model's own device and type hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unichar.model.bagel.autoencoder import Autoencoder
from unichar.model.bagel.config import LATENT_CHANNELS, PIXELS, BagelConfig
from unichar.model.bagel.context import Context, join
from unichar.model.bagel.conversations import as_elements, from_segments, together
from unichar.model.bagel.decoder import Expert, TextExpert, decode
from unichar.model.bagel.generation import GenerationExpert, to_latents, to_tokens
from unichar.model.bagel.packing import IGNORED, PATCH, Element, Packed, pack
from unichar.model.bagel.pictures import Sizing, seen_in_replies, seen_in_training
from unichar.model.bagel.sampling import Guidance, Velocity, sample
from unichar.model.bagel.saving import save_bagel
from unichar.model.bagel.tokenizer import BagelTokenizer
from unichar.model.bagel.vision import Eyes
from unichar.model.pixels import check_sides, to_pixels
from unichar.model.protocol import Turn
from unichar.model.sides import inner, without_adapters
from unichar.training.seeds import torch_rng
from unichar.types import Segment

NAME = "ByteDance-Seed/BAGEL-7B-MoT"
_LAYER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class BagelModel(nn.Module):
    """See `unichar.model.protocol.UnifiedModel` for what the methods promise."""

    def __init__(self, config: BagelConfig, words: BagelTokenizer, *, image_size: int) -> None:
        """
        Raises:
            ValueError: The decoder has no places for pictures of that size.
        """
        super().__init__()
        most = config.latent_side * PIXELS
        if image_size % PIXELS or not PIXELS <= image_size <= most:
            raise ValueError(
                f"image_size is {image_size}, expected a multiple of {PIXELS} from {PIXELS} to {most}, where this BAGEL's "
                "positions end"
            )
        self.config, self.words, self.image_size = config, words, image_size
        self.lora_targets: Mapping[str, tuple[str, ...]] = {"und": _LAYER, "gen": _LAYER}
        self.adapter_bases: Mapping[str, str] = {"und": NAME, "gen": NAME}
        self.guidance = Guidance()
        """How `sample_latents` guides, but for its strength."""
        self.und: nn.Module = TextExpert(config.text)
        self.gen: nn.Module = GenerationExpert(config)
        self.eyes = Eyes(config)
        self.vae = Autoencoder(config.autoencoder_width)

    def base_text(self) -> AbstractContextManager[None]:
        """Text adapters off; nothing to do where there are none."""
        return without_adapters(self.und)

    def base_pictures(self) -> AbstractContextManager[None]:
        """Picture adapters off; nothing to do where there are none."""
        return without_adapters(self.gen)

    def _experts(self) -> tuple[TextExpert, GenerationExpert]:
        und, gen = inner(self.und), inner(self.gen)
        assert isinstance(und, TextExpert) and isinstance(gen, GenerationExpert)
        return und, gen

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._experts()[0].embed_tokens.weight.device

    @torch.no_grad()
    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Latents [B, 16, h, w] of RGB pictures.

        Raises:
            ValueError: A picture has another size than the model's.
        """
        check_sides(images, self.image_size, wants="expected")
        weight = self.vae.encoder.conv_in.weight
        encoded = [self.vae.encode(to_pixels([image]).to(weight.device, weight.dtype)) for image in images]
        return _finite(
            torch.cat(encoded).float().cpu(), "the autoencoder (ae.safetensors) makes NaN of a picture"
        )

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1]."""
        weight = self.vae.decoder.conv_in.weight
        decoded = [
            self.vae.decode(one.to(weight.device, weight.dtype)).float().cpu() for one in latents.split(1)
        ]
        return _finite(torch.cat(decoded), "the autoencoder (ae.safetensors) makes NaN of latents").clamp(
            -1, 1
        )

    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Not to be had.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            "BAGEL has no heads that read attributes of toons: judge with another eye, or train on photographs"
        )

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Features of the tower, [B, D, rows, columns]."""
        tower = self.eyes.vision_model
        side = min(pixels.shape[-1] // tower.patch, tower.side) * tower.patch
        fitted = F.interpolate(pixels, size=side, mode="bicubic", antialias=True).clamp(-1, 1)
        return [torch.stack([self.eyes.map(picture).float().cpu() for picture in fitted])]

    @torch.no_grad()
    def prompt_context(self, prompts: Sequence[str]) -> Context:
        """Context of P prompts, each read by itself: its bits do not depend on the company.

        Raises:
            ValueError: A prompt is longer than the decoder's context.
        """
        with self.base_text():
            read = {
                prompt: self.read_context([self.words.text(prompt)] if prompt else [])
                for prompt in dict.fromkeys(prompts)
            }
        return join([read[prompt] for prompt in prompts])

    @torch.no_grad()
    def read_context(
        self, elements: Sequence[Element], *, seen: Sequence[Tensor] = (), latents: Sequence[Tensor] = ()
    ) -> Context:
        """Context of one conversation, with the adapters that are on.

        Args:
            elements: Texts, seen and clean pictures.
            seen: Pixels [3, H, W] of the seen pictures.
            latents: Latents [16, h, w] of the clean ones, without noise.

        Raises:
            ValueError: It is longer than the decoder's context.
        """
        text = self.config.text
        if not elements:
            none = torch.empty(
                (1, text.num_key_value_heads, 0, text.head_size), dtype=self._type(), device=self.device
            )
            here = torch.zeros(1, dtype=torch.long, device=self.device)
            return Context(
                ((none, none),) * text.num_hidden_layers, here.new_empty((1, 0), dtype=torch.bool), here
            )
        packed = pack([elements], self.words.markers)
        _, fresh = self._run(packed, seen, latents, keep=True)
        mask = torch.ones((1, len(packed.positions)), dtype=torch.bool, device=self.device)
        return Context(tuple(fresh), mask, torch.tensor(packed.next, device=self.device))

    def _type(self) -> torch.dtype:
        return self._experts()[0].embed_tokens.weight.dtype

    def _run(
        self, packed: Packed, seen: Sequence[Tensor], latents: Sequence[Tensor] = (), *, keep: bool = False
    ) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Hidden states of a packed sequence, [1, tokens, D] an expert, and its keys and values."""
        limit = self.config.text.max_position_embeddings
        if len(packed.positions) > limit:
            start = self.words.read(packed.ids[packed.ids != PATCH][:20].tolist())[:60]
            raise ValueError(
                f"the text starting {start!r} has {len(packed.positions)} tokens, BAGEL reads at most {limit}: shorten it"
            )
        und, gen = self._experts()
        embedded = und.embed_tokens(packed.ids.clamp(min=0).to(self.device))
        if seen:
            patches = torch.cat([self.eyes(pixels.to(self.device)) for pixels in seen])
            _finite(patches, "the vision tower (vit_model, connector) makes NaN of a picture")
            embedded = embedded.masked_scatter(
                (packed.ids == PATCH)[:, None].to(self.device), patches.to(embedded.dtype)
            )
        experts: list[Expert] = [und]
        parts = [embedded[None]]
        if latents:
            now = torch.zeros(1, device=self.device)
            clean = [gen.embed(to_tokens(each[None].to(self.device)), now, _grid(each)) for each in latents]
            experts, parts = [und, gen], [*parts, torch.cat(clean, dim=1)]
        positions, mask = packed.positions[None].to(self.device), packed.mask[None, None].to(self.device)
        return decode(experts, parts, positions, mask=mask, keep=keep)

    def velocity(self, latents: Tensor, t: Tensor, context: Context) -> Tensor:
        """v [B, 16, h, w].

        Raises:
            ValueError: The pictures are larger than there are positions, or cannot be shared out among the prompts.
        """
        grid = _grid(latents)
        if max(grid) > self.config.latent_side or len(latents) % len(context):
            raise ValueError(
                f"{len(latents)} pictures of {grid[0]} x {grid[1]} tokens for {len(context)} prompts: expected as many for each "
                f"prompt, of at most {self.config.latent_side} tokens on a side"
            )
        return to_latents(self.token_velocity(to_tokens(latents), t, context, grid), grid)

    def token_velocity(self, tokens: Tensor, t: Tensor, context: Context, grid: tuple[int, int]) -> Tensor:
        """`velocity` of tokens [B, rows * columns, 64]."""
        und, gen = self._experts()
        rows, count = tokens.shape[:2]
        markers = self.words.markers
        ids = torch.tensor([markers.start_picture, markers.end_picture], device=self.device)
        positions = context.position.repeat_interleave(rows // len(context))[:, None].expand(-1, count + 2)
        with self.base_text():
            hidden, _ = decode(
                [und, gen],
                [
                    und.embed_tokens(ids).expand(rows, -1, -1),
                    gen.embed(tokens.to(self.device), t.to(self.device), grid),
                ],
                positions,
                mask=context.mask_for(rows, count + 2),
                past=context.past,
                recompute=self.base_text,
            )
        return gen.llm2vae(hidden[1]).float().to(tokens.device)

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """What sampling starts from, [B, 16, h, w], one seed a picture."""
        shape = (LATENT_CHANNELS, self.image_size // 8, self.image_size // 8)
        return torch.stack([torch.randn(shape, generator=torch_rng(seed, "noise")) for seed in seeds])

    @torch.no_grad()
    def sample_latents(
        self, context: Context, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Latents [B, 16, h, w], drawn one after the other. `guidance` 1 runs the prompts alone, above also without a prompt.

        Raises:
            ValueError: The generation expert answers with NaN.
        """
        nothing, each = self.prompt_context([""]), len(seeds) // len(context)
        drawn = []
        for number, noise in enumerate(self.start_noise(seeds)):
            drawn.append(
                self.draw(
                    noise[None],
                    context.select(number // each),
                    without_text=nothing,
                    guidance=replace(self.guidance, text=guidance),
                    steps=steps,
                    shift=shift,
                )
            )
        return torch.cat(drawn)

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
        """Latents from noise [B, 16, h, w], guided away from contexts that lack the last text, or the pictures.

        Raises:
            ValueError: The generation expert answers with NaN.
        """
        grid = _grid(noise)

        def follow(given: Context) -> Velocity:
            return lambda x, t: self.token_velocity(x, t, given, grid)

        tokens = sample(
            to_tokens(noise),
            follow(context),
            steps=steps,
            shift=shift,
            guidance=guidance,
            without_text=follow(without_text),
            without_image=follow(without_image) if without_image is not None else None,
        )
        problem = "the generation expert (gen) draws NaN: its adapters diverged or are damaged; train them with a lower learning rate"
        return to_latents(_finite(tokens, problem), grid)

    def save_merged(self, folder: Path, *, base: Path) -> None:
        """Write the model with its adapters added to its weights into an empty folder; `base` is where it was loaded from."""
        save_bagel(self, folder, base=base)

    def text_losses(self, conversations: Sequence[Sequence[Segment]], folder: Path) -> list[Tensor]:
        """Cross-entropy of every token that carries a loss, one tensor a conversation."""
        sizing = self._sizing(seen_in_training)
        prepared = [
            as_elements(turns, self.words, sizing, learned=[segment.loss for segment in segments])
            for segments in conversations
            for turns in [from_segments(segments, folder, self.image_size)]
        ]
        losses: list[Tensor] = []
        for group in together([sum(len(e.ids) + e.tokens for e in elements) for elements, _ in prepared]):
            elements = [prepared[row][0] for row in group]
            packed = pack(elements, self.words.markers)
            seen = [pixels for row in group for pixels in prepared[row][1]]
            every = self._token_losses(packed, seen)
            losses += every.split([sum(len(e.ids) - 1 for e in each if e.learned) for each in elements])
        return losses

    def _token_losses(self, packed: Packed, seen: Sequence[Tensor]) -> Tensor:
        hidden, _ = self._run(packed, seen)
        wanted = packed.labels != IGNORED
        logits = self._experts()[0].lm_head(hidden[0][0][wanted.to(self.device)]).float()
        return F.cross_entropy(
            _finite(logits, _NO_WORDS), packed.labels[wanted].to(self.device), reduction="none"
        ).cpu()

    def _sizing(self, rule: Callable[[int, int], Sizing]) -> Sizing:
        return rule(self.config.vision.patch_size, self.config.vision.image_size)

    @torch.no_grad()
    def reply(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        max_tokens: int = 60,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next message of each conversation, one after the other; greedy at temperature 0.

        Raises:
            ValueError: A conversation and its reply are longer than the decoder's context, or the decoder answers with NaN.
        """
        return [
            self._write(
                turns, max_tokens, temperature, torch_rng(seed, "reply", *(turn.text for turn in turns))
            )
            for turns in conversations
        ]

    def _write(
        self, turns: Sequence[Turn], max_tokens: int, temperature: float, generator: torch.Generator
    ) -> str:
        elements, seen = as_elements(turns, self.words, self._sizing(seen_in_replies))
        context, limit = self.read_context(elements, seen=seen), self.config.text.max_position_embeddings
        if context.mask.shape[1] + max_tokens > limit:
            raise ValueError(
                f"a conversation has {context.mask.shape[1]} tokens and its reply up to {max_tokens} more, BAGEL holds {limit}: "
                "shorten the history or the texts in it"
            )
        written: list[int] = []
        for logits in self.next_words(context, written, max_tokens):
            token = _pick(logits, temperature, generator)
            if token == self.words.markers.end:
                break
            written.append(token)
        return self.words.read(written)

    def next_words(self, context: Context, written: list[int], most: int) -> Iterator[Tensor]:
        """Logits [V] of one word after the other; the caller adds to `written` what it takes."""
        und = self._experts()[0]
        for _ in range(most):
            token = torch.tensor([[written[-1] if written else self.words.markers.begin]], device=self.device)
            (hidden,), fresh = decode(
                [und], [und.embed_tokens(token)], context.position[:, None], past=context.past, keep=True
            )
            context = context.extended(fresh, context.position + 1)
            yield _finite(und.lm_head(hidden)[0, 0].float().cpu(), _NO_WORDS)


_NO_WORDS = (
    "the text expert (und) answers with NaN instead of word probabilities: its adapters diverged or are damaged; train them with "
    "a lower learning rate"
)

_NO_PICTURE = (
    "the generation expert (gen) answers with NaN instead of a velocity: its adapters diverged or are damaged; train them with a "
    "lower learning rate"
)


def _finite(tensor: Tensor, problem: str) -> Tensor:
    if not bool(tensor.isfinite().all()):
        raise ValueError(problem)
    return tensor


def _grid(latents: Tensor) -> tuple[int, int]:
    return latents.shape[-2] // 2, latents.shape[-1] // 2


def _pick(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))
