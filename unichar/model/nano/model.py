"""Nano: SmolLM2-135M, a narrow generation expert, a small VAE and a vision tower, as one unified model.

Departures from BAGEL, each for the sake of two CPU cores: see `expert.py` (attention), `vae.py` and
`vision.py`. Image prompts are encoded by the text backbone *without* its adapters, so that a character's
pictures do not change while its text adapters train, and the keys and values of a prompt can be cached for a
whole run.

Inputs and outputs of the public methods are fp32 on the CPU; inside, the device of the weights is used, and
matrix products are bf16 by autocast, on a CPU as on a GPU. Noise is drawn on the CPU, so that a seed gives
the same picture on every device, up to rounding.

Shape letters: P prompts, G pictures per prompt, B = P x G, C latent channels, h/w latent cells, H/W pixels, L
tokens of a conversation, T tokens of a packed sequence, N losses, D width, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from PIL import Image
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from unichar.errors import UserError
from unichar.kit.images import load_picture, prepare
from unichar.model.components import unwrapped, without_adapters
from unichar.model.flow import Velocity, integrate
from unichar.model.nano.attention import use_block_attention
from unichar.model.nano.backbone import encode_prompts
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.decoding import Sampler, decode
from unichar.model.nano.expert import GenerationExpert, TextContext, join_contexts
from unichar.model.nano.merge import BACKBONE, BASE, save_backbone, save_base
from unichar.model.nano.vae import Vae
from unichar.model.nano.vision import NUM_TOKENS, Connector, VisionTower
from unichar.model.packing import PackedSequence, PackingStats, pack, stats_of
from unichar.model.pixels import check_image_size, to_pixels
from unichar.model.protocol import Turn
from unichar.model.sampling import sample_token
from unichar.model.tokens import IMAGE, TokenBatch, collate, render
from unichar.training.seeds import torch_rng
from unichar.types import Segment

END = "<|im_end|>"
CHUNK = 16
"""Pictures sampled together. More are slower per picture: activations between layers then leave the cache."""

_LAYER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_AROUND = ("text_k_proj", "text_v_proj", "latent_in", "latent_out", "time_in.0", "time_in.2", "time_out.1")


class NanoModel(nn.Module):
    """See `unichar.model.protocol.UnifiedModel` for what the methods promise."""

    def __init__(
        self,
        config: NanoConfig,
        und: LlamaForCausalLM,
        tokenizer: PreTrainedTokenizerBase,
        *,
        prompt_encoder: LlamaForCausalLM | None = None,
    ) -> None:
        """
        Args:
            config: Shapes of everything but the backbone.
            und: Text backbone.
            tokenizer: Of the backbone.
            prompt_encoder: The plain backbone, where `und` has a character's adapters merged into it. Without
                it `und` encodes image prompts, its adapters disabled.
        """
        super().__init__()
        self.config = config
        self.image_size = config.image_size
        # All linear layers of the expert: adapters in its transformer layers alone do not learn photographs.
        self.lora_targets: Mapping[str, tuple[str, ...]] = {"und": _LAYER, "gen": _LAYER + _AROUND}
        self.adapter_bases: Mapping[str, str] = {
            "und": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "gen": "unichar-nano",
        }
        self.pictures_follow_text = False

        self.tokenizer = tokenizer
        self.und: LlamaForCausalLM | PeftModel = und
        self.prompt_encoder = prompt_encoder
        self.gen: GenerationExpert | PeftModel = GenerationExpert(config)
        self.vae = Vae(config.vae_widths, config.decoder_blocks, config.latent_channels)
        self.vision = VisionTower(config)
        self.connector = Connector(config)

        self._contexts: dict[str, TextContext] = {}  # of every prompt encoded so far
        self.packing = PackingStats()
        use_block_attention(und)

    def base_text(self) -> AbstractContextManager[None]:
        """Disables the text adapters within the context."""
        return without_adapters(self.und)

    def base_pictures(self) -> AbstractContextManager[None]:
        """Disables the generation expert's adapters within the context."""
        return without_adapters(self.gen)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.vae.shift.device

    def _autocast(self) -> torch.autocast:
        """bf16 matrix products on the model's device."""
        return torch.autocast(self.device.type, torch.bfloat16)

    def merged_pictures(self) -> AbstractContextManager[None]:
        """Merges nothing: the expert's weights are fp32 and its adapters small."""
        return nullcontext()

    def _llama(self) -> LlamaForCausalLM:
        """The backbone inside its adapters, if it has any."""
        llama = unwrapped(self.und)
        assert isinstance(llama, LlamaForCausalLM)
        return llama

    @torch.no_grad()
    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Latents [B, C, h, w] of RGB pictures.

        Raises:
            UserError: A picture is not `image_size` pixels square.
        """
        check_image_size(images, self.image_size, verb="nano draws")
        with self._autocast():
            return self.vae.encode(to_pixels(images, self.device)).float().cpu()

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1]."""
        with self._autocast():
            chunks = [self.vae.decode(chunk.to(self.device)).float().cpu() for chunk in latents.split(CHUNK)]
        return torch.cat(chunks)

    @torch.no_grad()
    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Attribute logits of the vision tower, [B, values] each: the classifier that rewards use."""
        logits = self.vision.read(pixels.to(self.device))
        return {name: each.cpu() for name, each in logits.items()}

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps of the vision tower, [B, D, h, w]."""
        features = self.vision(pixels.to(self.device)).cpu()  # [B, patches, D]
        side = int(features.shape[1] ** 0.5)
        return [features.transpose(1, 2).unflatten(2, (side, side))]  # [B, D, h, w]

    @torch.no_grad()
    def prompt_context(self, prompts: Sequence[str]) -> TextContext:
        """Context of P prompts. Contexts are cached for the life of the model."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._contexts]
        if missing:
            with self.base_text():
                self._encode_prompts(missing)
        return join_contexts([self._contexts[prompt] for prompt in prompts])

    def _encode_prompts(self, prompts: Sequence[str]) -> None:
        """Add the contexts of prompts to the cache, one prompt a forward pass.

        A resumed run encodes its prompts in other batches and must compute the same steps. Some CPU kernels
        (bf16 with AMX) sum a row in another order for another number of rows, so only a pass of its own makes
        a context depend on its prompt alone.
        """
        backbone = self.prompt_encoder or self._llama()
        for prompt in prompts:
            self._contexts[prompt] = encode_prompts(backbone, self.tokenizer, [prompt], self.config)

    def velocity(self, latents: Tensor, t: Tensor, context: TextContext) -> Tensor:
        """v = eps - x0 [B, C, h, w] at times t [B], on the device of the latents."""
        with self._autocast():
            v = self.gen(latents.to(self.device), t.to(self.device), context)
        return v.to(latents.device)

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """x_1 of sampling, [B, C, h, w]; each picture's noise depends on its seed alone."""
        side = self.config.latent_side
        shape = (self.config.latent_channels, side, side)
        return torch.stack([torch.randn(shape, generator=torch_rng(seed, "noise")) for seed in seeds])

    @torch.no_grad()
    def sample_latents(
        self, context: TextContext, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Sample latents [B, C, h, w], one seed per picture.

        `guidance` 1 is no guidance; above it, the model also runs on an empty prompt (classifier-free
        guidance).

        Raises:
            UserError: The expert predicts NaN.
        """
        # On the model's device: `velocity` then moves nothing but the time.
        noise = self.start_noise(seeds).to(self.device)
        chunks = []
        for prompts, pictures in _chunks(len(context.mask), len(seeds)):
            velocity = self._guided(context.select(prompts), guidance)
            chunks.append(integrate(velocity, noise[pictures], steps=steps, shift=shift))
        latents = torch.cat(chunks).cpu()

        bad = (~latents.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
        if bad:
            raise UserError(
                f"the generation expert draws NaN (pictures {', '.join(map(str, bad[:8]))} of "
                f"{len(latents)}): its adapters (adapters/gen) diverged or are damaged; train them again "
                "with a lower learning rate"
            )
        return latents

    def _guided(self, context: TextContext, guidance: float) -> Velocity:
        empty = self.prompt_context([""])

        def guided(x: Tensor, t: Tensor) -> Tensor:
            v = self.velocity(x, t, context)
            if guidance <= 1:
                return v
            unconditional = self.velocity(x, t, empty)
            return unconditional + guidance * (v - unconditional)

        return guided

    def _embed(self, batch: TokenBatch, pixels: Tensor | None) -> Tensor:
        """[B, L, D] input embeddings, IMAGE placeholders replaced by the connector's tokens."""
        embedding, ids = self._llama().get_input_embeddings(), batch.ids.to(self.device)
        embedded = embedding(ids.clamp(min=0))  # [B, L, D]
        if pixels is None:
            return embedded

        tokens = self._image_tokens(pixels.to(self.device)).to(embedded.dtype)
        return embedded.masked_scatter((ids == IMAGE).unsqueeze(-1), tokens)

    def _image_tokens(self, pixels: Tensor) -> Tensor:
        """[pictures * NUM_TOKENS, D] of pixels [pictures, 3, H, W]."""
        return self.connector(self.vision(pixels)).flatten(0, 1)

    def text_losses(self, conversations: Sequence[Sequence[Segment]], folder: Path) -> list[Tensor]:
        """Cross-entropy of every token that carries a loss, one tensor per conversation.

        Shared prefixes are computed once (`unichar.model.packing`); the tokens saved are counted in
        `packing`.

        Raises:
            UserError: A conversation is longer than the backbone's context.
        """
        sequences = [render(segments, self.tokenizer, image_tokens=NUM_TOKENS) for segments in conversations]
        limit = self._llama().config.max_position_embeddings
        packed = pack(sequences, image_tokens=NUM_TOKENS, limit=limit)
        self.packing += stats_of(sequences, packed)

        losses: dict[int, Tensor] = {}
        for sequence in packed:
            split = self._packed_losses(sequence.to(self.device), folder).split(list(sequence.lengths))
            losses |= zip(sequence.members, split, strict=True)
        return [losses[number] for number in range(len(sequences))]

    def _packed_losses(self, packed: PackedSequence, folder: Path) -> Tensor:
        """Cross-entropy of every loss of a packed sequence on the model's device, [N] on the CPU."""
        llama = self._llama()
        with self._autocast():
            # Detached, because activation checkpointing makes the embeddings require gradients.
            embedded = llama.get_input_embeddings()(packed.ids.clamp(min=0)).detach()  # [T, D]
            if packed.images:
                images = [load_picture(folder / name, self.image_size) for name in packed.images]
                tokens = self._image_tokens(to_pixels(images, self.device)).to(embedded.dtype)
                embedded[packed.ids == IMAGE] = tokens[packed.image_features]

            hidden = llama.model(
                inputs_embeds=embedded[None],
                # Ignored: `blocks` define the attention.
                attention_mask=torch.empty((1, 1, 0, 0), device=self.device),
                position_ids=packed.positions[None],
                blocks=packed.blocks,
                use_cache=False,
            ).last_hidden_state  # [1, T, D]

            # The vocabulary is wide, so logits are computed once per position that has a loss.
            logits = llama.lm_head(hidden[0, packed.sources])  # [S, V]

        log_probs = F.log_softmax(logits, dim=-1, dtype=torch.float32)
        return -log_probs[packed.loss_sources, packed.targets].cpu()

    @torch.no_grad()
    def word_embeddings(self) -> Tensor:
        """[V, D] input embeddings of the backbone."""
        table = self._llama().get_input_embeddings().weight
        assert isinstance(table, Tensor)
        return table.float().cpu()

    def token_losses(self, batch: TokenBatch, pixels: Tensor | None) -> Tensor:
        """Cross-entropy of every token of a padded batch that carries a loss, in reading order, [N]."""
        llama, mask = self._llama(), batch.mask.long().to(self.device)
        with self._autocast():
            embedded = self._embed(batch, pixels)
            output = llama.model(inputs_embeds=embedded, attention_mask=mask, use_cache=False)
            targets = batch.labels[:, 1:].to(self.device)  # [B, L - 1]
            has_loss = targets >= 0

            # The vocabulary is wide, so logits are computed only where there is a loss.
            logits = llama.lm_head(output.last_hidden_state[:, :-1][has_loss])  # [N, V]
        return F.cross_entropy(logits.float(), targets[has_loss], reduction="none").cpu()

    @torch.no_grad()
    def reply(
        self,
        conversations: Sequence[Sequence[Turn]],
        *,
        max_tokens: int = 60,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next assistant message of each conversation; greedy at temperature 0.

        Each is sampled from the seed and its own text, so a reply does not depend on the other conversations.

        Raises:
            UserError: A conversation is longer than the backbone's context, or the backbone predicts NaN.
        """
        stop = self.tokenizer.convert_tokens_to_ids(END)
        assert isinstance(stop, int)
        prompts = [self._embed_prompt(turns) for turns in conversations]
        samplers = []
        for turns in conversations:
            generator = torch_rng(seed, "reply", *(turn.text for turn in turns))
            samplers.append(_sampler(temperature, generator))

        replies = decode(self._llama(), prompts, samplers, max_tokens=max_tokens, stop=stop)
        return [str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in replies]

    def _embed_prompt(self, turns: Sequence[Turn]) -> Tensor:
        """[L, D] embedded conversation with an assistant message opened; pictures may have any size."""
        segments = []
        for turn in turns:
            kind = "image" if turn.image is not None else "text"
            segments.append(Segment(type=kind, value=turn.text, role=turn.role))  # type: ignore[arg-type]
        sequence = render(segments, self.tokenizer, image_tokens=NUM_TOKENS, open_reply=True)
        batch = collate([sequence], pad=self.tokenizer.pad_token_id)

        images = [prepare(turn.image, self.image_size) for turn in turns if turn.image is not None]
        with self._autocast():
            return self._embed(batch, to_pixels(images, self.device) if images else None)[0]

    def export_adapters(self, folder: Path) -> None:
        """Does nothing: no other program knows nano's expert, and `und` has the names of SmolLM2 as it is."""

    def save_merged(self, folder: Path, *, base: Path) -> None:
        """Write both components with their adapters merged: see `unichar.model.nano.merge`."""
        save_base(self.gen, base, folder / BASE)
        save_backbone(self.und, self.tokenizer, folder / BACKBONE)


def _chunks(prompts: int, pictures: int) -> Iterator[tuple[Tensor, slice]]:
    """(indices of prompts, slice of pictures) sampled together: about `CHUNK` pictures, of whole prompts if
    they fit.
    """
    per_prompt = pictures // prompts
    prompts_together = max(1, CHUNK // per_prompt)

    for first in range(0, prompts, prompts_together):
        indices = torch.arange(first, min(first + prompts_together, prompts))
        start, end = first * per_prompt, (first + len(indices)) * per_prompt
        step = end - start if len(indices) > 1 else CHUNK
        for begin in range(start, end, step):
            yield indices, slice(begin, min(begin + step, end))


def _sampler(temperature: float, generator: torch.Generator) -> Sampler:
    return lambda logits: sample_token(logits, temperature, generator)
