"""Nano: SmolLM2-135M, a narrow generation expert, a small VAE and a vision tower, as one unified model.

Departures from BAGEL, each for the sake of two CPU cores: see `expert.py` (attention), `vae.py`, `vision.py`; and prompts
for pictures are read by the text backbone *without* its adapters, so that a character's pictures do not change while its
voice is still being learned, and a prompt's keys and values can be kept for a whole run.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from unichar.kit.images import load_picture, prepare
from unichar.model.flow import Velocity, integrate
from unichar.model.nano.attention import attend_by_blocks
from unichar.model.nano.backbone import encode_prompts, load_backbone, padded_length
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.expert import GenerationExpert, TextContext, join_contexts
from unichar.model.nano.merge import BASE, VOICE, save_base, save_voice
from unichar.model.nano.vae import LATENT_CHANNELS, Vae
from unichar.model.nano.vision import NUM_TOKENS, Connector, VisionTower
from unichar.model.nano.writing import Choice, write
from unichar.model.packing import PackingStats, Row, pack, stats_of
from unichar.model.pixels import check_sides, to_pixels
from unichar.model.protocol import Turn
from unichar.model.sides import inner, without_adapters
from unichar.model.tokens import IMAGE, TokenBatch, collate, render
from unichar.training.seeds import torch_rng
from unichar.types import Segment

PARTS = ("vae", "vision", "connector", "expert")
END = "<|im_end|>"
TOGETHER = 16
"""Pictures that are drawn together: more are slower, since what passes between layers then leaves the cache."""


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
        reader: LlamaForCausalLM | None = None,
    ) -> None:
        """`reader` reads prompts for pictures where `und` is merged with a voice; else `und` does, without its adapters."""
        super().__init__()
        self.config = config
        self.image_size = config.image_size
        # The expert is adapted whole: its layers alone can not leave the drawn world for photographs.
        self.lora_targets: Mapping[str, tuple[str, ...]] = {"und": _LAYER, "gen": _LAYER + _AROUND}
        self.adapter_bases: Mapping[str, str] = {
            "und": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "gen": "unichar-nano",
        }
        self.tokenizer = tokenizer
        self.und: LlamaForCausalLM | PeftModel = und
        self.reader = reader
        self.gen: GenerationExpert | PeftModel = GenerationExpert(config)
        self.vae = Vae(config.vae_widths, config.decoder_blocks)
        self.vision = VisionTower(config)
        self.connector = Connector(config)
        self._contexts: dict[str, TextContext] = {}
        self.packing = PackingStats()
        attend_by_blocks(und)

    def base_text(self) -> AbstractContextManager[None]:
        """Text adapters off; nothing to do where there are none."""
        return without_adapters(self.und)

    def base_pictures(self) -> AbstractContextManager[None]:
        """Picture adapters off; nothing to do where there are none."""
        return without_adapters(self.gen)

    def _llama(self) -> LlamaForCausalLM:
        """The backbone under its adapters, if it has any."""
        llama = inner(self.und)
        assert isinstance(llama, LlamaForCausalLM)
        return llama

    @torch.no_grad()
    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Latents [B, C, h, w] of RGB pictures.

        Raises:
            ValueError: A picture has another size than the model's.
        """
        check_sides(images, self.image_size, wants="nano draws")
        with torch.autocast("cpu", torch.bfloat16):
            return self.vae.encode(to_pixels(images)).float()

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] in [-1, 1]."""
        with torch.autocast("cpu", torch.bfloat16):
            return torch.cat([self.vae.decode(chunk).float() for chunk in latents.split(16)])

    @torch.no_grad()
    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """Attribute logits of the vision tower: what rewards look at."""
        return self.vision.read(pixels)

    @torch.no_grad()
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Feature maps of the vision tower, [B, D, h, w]."""
        features = self.vision(pixels)
        side = int(features.shape[1] ** 0.5)
        return [features.transpose(1, 2).unflatten(2, (side, side))]

    @torch.no_grad()
    def prompt_context(self, prompts: Sequence[str]) -> TextContext:
        """Context of P prompts. Prompts seen before cost nothing: their keys and values are kept for the life of the model."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._contexts]
        if missing:
            with self.base_text():
                self._read_prompts(missing)
        return join_contexts([self._contexts[prompt] for prompt in prompts])

    def _read_prompts(self, prompts: Sequence[str]) -> None:
        """Prompts of one padded length at a time: less padding to read, and the same bits in whatever company (a resumed run
        meets its prompts in other batches)."""

        def length(prompt: str) -> int:
            return padded_length(self.tokenizer, prompt)

        for _, alike in groupby(sorted(prompts, key=length), key=length):
            group = list(alike)
            for start in range(0, len(group), 16):
                chunk = group[start : start + 16]
                encoded = encode_prompts(self.reader or self._llama(), self.tokenizer, chunk, self.config)
                for row, prompt in enumerate(chunk):
                    self._contexts[prompt] = encoded.select(torch.tensor([row]))

    def velocity(self, latents: Tensor, t: Tensor, context: TextContext) -> Tensor:
        """v [B, C, h, w]."""
        with torch.autocast("cpu", torch.bfloat16):
            return self.gen(latents, t, context)

    def start_noise(self, seeds: Sequence[int]) -> Tensor:
        """What sampling starts from, [B, C, h, w], one seed a picture."""
        side = self.config.latent_side
        shape = (LATENT_CHANNELS, side, side)
        return torch.stack([torch.randn(shape, generator=torch_rng(seed, "noise")) for seed in seeds])

    @torch.no_grad()
    def sample_latents(
        self, context: TextContext, seeds: Sequence[int], *, steps: int, guidance: float, shift: float
    ) -> Tensor:
        """Latents [B, C, h, w], one seed a picture. `guidance` 1 runs the prompts alone; above, an empty prompt as well.

        Raises:
            ValueError: The expert answers with NaN.
        """
        noise = self.start_noise(seeds)
        parts = [
            integrate(self._guided(context.select(rows), guidance), noise[pictures], steps=steps, shift=shift)
            for rows, pictures in _portions(len(context.mask), len(seeds))
        ]
        latents = torch.cat(parts)
        bad = (~latents.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
        if bad:
            raise ValueError(
                f"the generation expert draws NaN (pictures {', '.join(map(str, bad[:8]))} of {len(latents)}): its adapters "
                "(adapters/gen) diverged or are damaged; train them again with a lower learning rate"
            )
        return latents

    def _guided(self, context: TextContext, guidance: float) -> Velocity:
        nothing = self.prompt_context([""])

        def guided(x: Tensor, t: Tensor) -> Tensor:
            v = self.velocity(x, t, context)
            if guidance <= 1:
                return v
            unconditional = self.velocity(x, t, nothing)
            return unconditional + guidance * (v - unconditional)

        return guided

    def _embed(self, batch: TokenBatch, pixels: Tensor | None) -> Tensor:
        embedding = self._llama().get_input_embeddings()
        embedded = embedding(batch.ids.clamp(min=0))
        if pixels is None:
            return embedded
        tokens = self.connector(self.vision(pixels)).to(embedded.dtype).flatten(0, 1)
        return embedded.masked_scatter((batch.ids == IMAGE).unsqueeze(-1), tokens)

    def text_losses(self, conversations: Sequence[Sequence[Segment]], folder: Path) -> list[Tensor]:
        """Cross-entropy of every token that carries a loss, one tensor a conversation; `packing` says what sharing saved.

        Raises:
            ValueError: A conversation is longer than the backbone's context.
        """
        sequences = [render(segments, self.tokenizer, image_tokens=NUM_TOKENS) for segments in conversations]
        _cast_by_autocast(self.und)
        rows = pack(sequences, image_tokens=NUM_TOKENS, limit=self._llama().config.max_position_embeddings)
        self.packing += stats_of(sequences, rows)
        losses: dict[int, Tensor] = {}
        for row in rows:
            losses |= zip(row.members, self._row_losses(row, folder).split(list(row.lengths)), strict=True)
        return [losses[number] for number in range(len(sequences))]

    def _row_losses(self, row: Row, folder: Path) -> Tensor:
        """Cross-entropy of every loss of a row, [N]."""
        llama = self._llama()
        with torch.autocast("cpu", torch.bfloat16):
            embedded = llama.get_input_embeddings()(
                row.ids.clamp(min=0)
            ).detach()  # checkpointing lets it ask for a gradient
            if row.images:
                pixels = to_pixels([load_picture(folder / name, self.image_size) for name in row.images])
                tokens = self.connector(self.vision(pixels)).to(embedded.dtype).flatten(0, 1)
                embedded[row.ids == IMAGE] = tokens[row.image_places]
            hidden = llama.model(
                inputs_embeds=embedded[None],
                attention_mask=torch.empty(1, 1, 0, 0),  # blocks say who sees whom
                position_ids=row.places[None],
                blocks=row.blocks,
                use_cache=False,
            ).last_hidden_state
            logits = llama.lm_head(
                hidden[0, row.sources]
            )  # the vocabulary is wide: only where a loss asks for it, and once
        return -F.log_softmax(logits, dim=-1, dtype=torch.float32)[row.predicted, row.targets]

    @torch.no_grad()
    def word_embeddings(self) -> Tensor:
        """[vocabulary, width] input embeddings of the backbone, fp32."""
        table = self._llama().get_input_embeddings().weight
        assert isinstance(table, Tensor)
        return table.float()

    def token_losses(self, batch: TokenBatch, pixels: Tensor | None) -> Tensor:
        """Cross-entropy of every token that carries a loss, in reading order, [number of them]."""
        with torch.autocast("cpu", torch.bfloat16):
            hidden = (
                self._llama()
                .model(
                    inputs_embeds=self._embed(batch, pixels),
                    attention_mask=batch.mask.long(),
                    use_cache=False,
                )
                .last_hidden_state
            )
            targets = batch.labels[:, 1:]
            wanted = targets >= 0
            logits = self._llama().lm_head(
                hidden[:, :-1][wanted]
            )  # the vocabulary is wide: only where a loss asks for it
        return F.cross_entropy(logits.float(), targets[wanted], reduction="none")

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

        Each draws from the seed and its own text, so its words do not depend on what else is asked.

        Raises:
            ValueError: A conversation is longer than the backbone's context, or the backbone answers with NaN.
        """
        stop = self.tokenizer.convert_tokens_to_ids(END)
        assert isinstance(stop, int)
        tokens = write(
            self._llama(),
            [self._opened(turns) for turns in conversations],
            [
                _sampler(temperature, torch_rng(seed, "reply", *(turn.text for turn in turns)))
                for turns in conversations
            ],
            max_tokens=max_tokens,
            stop=stop,
        )
        return [str(self.tokenizer.decode(row, skip_special_tokens=True)).strip() for row in tokens]

    def _opened(self, turns: Sequence[Turn]) -> Tensor:
        """[L, D] embedded conversation with an assistant message begun; pictures of any size and mode are prepared here."""
        segments = [
            Segment(type="image" if turn.image is not None else "text", value=turn.text, role=turn.role)  # type: ignore[arg-type]
            for turn in turns
        ]
        sequence = render(segments, self.tokenizer, image_tokens=NUM_TOKENS, open_reply=True)
        images = [prepare(turn.image, self.image_size) for turn in turns if turn.image is not None]
        batch = collate([sequence], pad=self.tokenizer.pad_token_id)
        with torch.autocast("cpu", torch.bfloat16):
            return self._embed(batch, to_pixels(images) if images else None)[0]

    def save_merged(self, folder: Path, *, base: Path) -> None:
        """Write both sides with their adapters in them: see `unichar.model.nano.merge`."""
        save_base(self.gen, base, folder / BASE)
        save_voice(self.und, self.tokenizer, folder / VOICE)


def _cast_by_autocast(side: nn.Module) -> None:
    """peft casts what an adapter reads up to the adapter's fp32, which autocast then casts down again: the same bits, twice the
    memory traffic, and a copy for every adapter kept for the backward pass."""
    for module in side.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False


def _portions(prompts: int, pictures: int) -> Iterator[tuple[Tensor, slice]]:
    """(rows of the context, pictures) of neighbours that are drawn together: about `TOGETHER`, and whole prompts if they fit."""
    each = pictures // prompts
    for first in range(0, prompts, max(1, TOGETHER // each)):
        rows = torch.arange(first, min(first + max(1, TOGETHER // each), prompts))
        start, end = first * each, (first + len(rows)) * each
        step = end - start if len(rows) > 1 else TOGETHER
        for begin in range(start, end, step):
            yield rows, slice(begin, min(begin + step, end))


def _sampler(temperature: float, generator: torch.Generator) -> Choice:
    return lambda logits: _pick(logits, temperature, generator)


def _pick(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator))


def load_nano(path: Path) -> NanoModel:
    """The nano base of a safetensors file, or a merged character of a folder, on the CPU, everything frozen.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not a nano base, or tensors are missing, unknown or of another shape; the first eight are named.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"the base model {path} is missing: run `make data` (dvc pull), or `python -m unichar base`"
        )
    config, stored = _read_base(path / BASE if path.is_dir() else path)
    plain, tokenizer = load_backbone()
    if path.is_dir():
        model = NanoModel(config, load_backbone(path / VOICE)[0], tokenizer, reader=plain)
    else:
        model = NanoModel(config, plain, tokenizer)
    modules = {"vae": model.vae, "vision": model.vision, "connector": model.connector, "expert": model.gen}
    own = {f"{part}.{name}": tensor for part in PARTS for name, tensor in modules[part].state_dict().items()}
    wrong = [name if name in own else f"{name} (unknown)" for name in sorted(own.keys() ^ stored.keys())]
    for name in own.keys() & stored.keys():
        if own[name].shape != stored[name].shape:
            wrong.append(f"{name} {tuple(stored[name].shape)}, expected {tuple(own[name].shape)}")
    if wrong:
        raise ValueError(
            f"{path} does not fit this version of nano, {len(wrong)} tensors differ: {', '.join(wrong[:8])}"
        )
    for name, tensor in own.items():
        tensor.copy_(stored[name])
    return model.eval().requires_grad_(False)


def read_shape(path: Path) -> NanoConfig:
    """The shape a base was trained in, from the head of its file.

    Raises:
        ValueError: The file is damaged or no nano base.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or no safetensors file ({error}): fetch the base again (`make data`)"
        ) from error
    if "config" not in about:
        raise ValueError(
            f"{path} is no nano base, it does not say its shape: fetch the base again (`make data`)"
        )

    return NanoConfig.from_json(about["config"])


def _read_base(path: Path) -> tuple[NanoConfig, dict[str, Tensor]]:
    """The shape a base was trained in, and the tensors of the parts used here, as fp32."""
    config = read_shape(path)
    with safe_open(str(path), framework="pt") as file:
        names = [name for name in list(file.keys()) if name.split(".")[0] in PARTS]
        return config, {name: file.get_tensor(name).float() for name in names}
