"""Runs other implementations of BAGEL on the tiny weights of `factories_bagel.py` and stores their results.

Never run by tests.

    python -m venv /tmp/reference && /tmp/reference/bin/pip install torch transformers safetensors
    /tmp/reference/bin/pip install --no-deps nemo-automodel==0.7.0 einops
    PYTHONPATH=.:tests /tmp/reference/bin/python tests/model/bagel/make_fixtures.py nemo
    pip install --target /tmp/old --no-deps transformers==4.49.0 tokenizers==0.21.4 huggingface_hub==0.30.2
    PYTHONPATH=/tmp/old:/path/to/ByteDance-Seed/Bagel:.:tests \\
        python tests/model/bagel/make_fixtures.py original

`original` is the published code at commit 056b5fd, `nemo` NVIDIA's port for training. Both run unchanged but
for what a CPU in fp32 requires: flash attention is replaced by PyTorch's own attention, compiled flex
attention by the same uncompiled, and the type they cast to for those kernels by fp32. Their weights come from
`tiny_tensor`, by name, so the fixtures hold results only.
"""

import sys
import types
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from factories_bagel import GRIDS, IDS, LLM, SAMPLES, SIZES, TIMES, VIT, WIDTH, picture, tiny_tensor
from torch.nn.attention import flex_attention

FIXTURES = Path(__file__).parent / "fixtures"
MODES = {"text": "causal", "seen": "full", "clean": "full", "noisy": "noise", "noisy2": "noise"}


class Fp32:
    """The torch module with another idea of bf16."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **options: Any) -> torch.Tensor:
    """What flash_attn_varlen_func answers: packed rows, causal ones aligned at the end."""
    out = []
    starts_q, starts_k = options["cu_seqlens_q"].tolist(), options["cu_seqlens_k"].tolist()
    for a, b, c, d in zip(starts_q, starts_q[1:], starts_k, starts_k[1:], strict=False):
        each = [x.transpose(0, 1)[None] for x in (q[a:b], k[c:d], v[c:d])]
        mask = (
            torch.ones(b - a, d - c, dtype=torch.bool).tril(d - c - (b - a))
            if options.get("causal")
            else None
        )
        out.append(F.scaled_dot_product_attention(*each, attn_mask=mask, enable_gqa=True)[0].transpose(0, 1))
    return torch.cat(out)


def uncompiled(*args: Any, _compile: bool = False, **options: Any) -> Any:
    return flex_attention.create_block_mask(*args, **options)


def nemo() -> tuple[Any, Any, Any]:
    """(model in training mode, its parts, autoencoder)"""
    from nemo_automodel.components.models.bagel import (
        autoencoder,
        model,
        modeling_qwen2_packed,
        modeling_siglip_navit,
    )
    from nemo_automodel.components.models.bagel.configuration import BagelConfig

    for module in (modeling_qwen2_packed, modeling_siglip_navit):
        module.torch = Fp32()
        module._flash_attn_varlen = flash
    modeling_qwen2_packed._flex_attention = flex_attention.flex_attention
    model.create_block_mask = uncompiled
    vae = {"z_channels": 16, "downsample": 8}
    config = BagelConfig(
        text_config={**LLM, "pad_token_id": 0}, vision_config=VIT, vae_config=vae, visual_gen=True, stage=2
    )
    whole = model.BagelForUnifiedMultimodal(config)
    return whole.train(), whole.model, autoencoder


def original() -> tuple[Any, Any, Any]:
    sys.modules["flash_attn"] = types.ModuleType("flash_attn")
    sys.modules["flash_attn"].__spec__ = ModuleSpec("flash_attn", None)
    sys.modules["flash_attn"].flash_attn_varlen_func = flash  # type: ignore[attr-defined]
    from modeling import autoencoder
    from modeling.bagel import (
        Bagel,
        BagelConfig,
        Qwen2Config,
        Qwen2ForCausalLM,
        SiglipVisionConfig,
        SiglipVisionModel,
        bagel,
        qwen2_navit,
        siglip_navit,
    )

    for module in (qwen2_navit, siglip_navit):
        module.torch = Fp32()
    qwen2_navit.flex_attention = flex_attention.flex_attention
    bagel.create_block_mask = uncompiled
    llm = Qwen2Config(**LLM, qk_norm=True, layer_module="Qwen2MoTDecoderLayer", freeze_und=False)
    vit = SiglipVisionConfig(**{**VIT, "num_hidden_layers": VIT["num_hidden_layers"] - 1}, rope=False)
    vae = SimpleNamespace(z_channels=16, downsample=8)
    config = BagelConfig(llm_config=llm, vit_config=vit, vae_config=vae, max_latent_size=64)
    whole = Bagel(Qwen2ForCausalLM(llm), SiglipVisionModel(vit), config)
    whole.vit_model.vision_model.embeddings.convert_conv2d_to_linear(vit)
    return whole.train(), whole, autoencoder


def fill(module: torch.nn.Module, *, tables: bool) -> None:
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not name.endswith("pos_embed"):
                tensor.copy_(tiny_tensor(name, tensor.shape))
            elif not tables:
                raise ValueError(name)


def places(grid: tuple[int, int], side: int) -> torch.Tensor:
    return (torch.arange(grid[0])[:, None] * side + torch.arange(grid[1])).flatten()


def packed_inputs() -> dict[str, Any]:
    """Two samples as the data pipeline of the published code packs them, filled up to 128 tokens."""
    out: dict[str, list[Any]] = {
        name: []
        for name in ("ids", "text", "vit", "vae", "positions", "lens", "splits", "modes", "loss", "at")
    }
    place = 0
    for sample in SAMPLES:
        begin, position = place, 0
        for name in sample:
            kind = name.rstrip("0123456789") if name.startswith("text") else name
            if kind == "text":
                ids = IDS[int(name[-1])]
                out["ids"] += ids
                out["text"] += range(place, place + len(ids))
                out["positions"] += range(position, position + len(ids))
                count, position = len(ids), position + len(ids)
            else:
                rows, columns = GRIDS[name]
                count = rows * columns + 2
                out["ids"] += [3, 4]
                out["text"] += [place, place + count - 1]
                out["vit" if name == "seen" else "vae"] += range(place + 1, place + count - 1)
                out["positions"] += [position] * count
                if kind.startswith("noisy"):
                    out["loss"] += range(place + 1, place + count - 1)
                else:
                    position += 1
            out["splits"].append(count)
            out["modes"].append(MODES[kind])
            place += count
        out["lens"].append(place - begin)
    out["splits"].append(128 - place)
    out["lens"].append(128 - place)
    out["modes"].append("causal")
    tensors = {name: torch.tensor(out[name]) for name in ("ids", "text", "vit", "vae", "positions", "loss")}
    return {**tensors, "lens": out["lens"], "splits": out["splits"], "modes": out["modes"], "length": place}


def training(model: Any, parts: Any) -> dict[str, torch.Tensor]:
    """Word logits and velocities of a packed sequence, through the training path."""
    made = packed_inputs()
    drawn = ["clean", "noisy", "noisy2"]
    latents = [picture(name, 16, 2 * GRIDS[name][0], 2 * GRIDS[name][1]) for name in drawn]
    padded = torch.zeros(3, 16, 6, 6)
    for row, latent in enumerate(latents):
        padded[row, :, : latent.shape[1], : latent.shape[2]] = latent
    counts = [GRIDS[name][0] * GRIDS[name][1] for name in drawn]
    raw = [float("-inf"), *(torch.logit(torch.tensor(t)).item() for t in TIMES)]
    noise = torch.cat(
        [picture(f"noise of {name}", count, 64) for name, count in zip(drawn, counts, strict=True)]
    )
    hidden = []
    hook = parts.language_model.register_forward_hook(lambda module, args, result: hidden.append(result))
    real, torch.randn_like = torch.randn_like, lambda _: noise
    try:
        with torch.no_grad():
            model(
                sequence_length=made["length"],
                packed_text_ids=made["ids"],
                packed_text_indexes=made["text"],
                sample_lens=made["lens"],
                packed_position_ids=made["positions"],
                split_lens=made["splits"],
                attn_modes=made["modes"],
                packed_vit_tokens=picture("seen", 12, 588),
                packed_vit_token_indexes=made["vit"],
                packed_vit_position_ids=places(GRIDS["seen"], 70),
                vit_token_seqlens=torch.tensor([12]),
                padded_latent=padded,
                patchified_vae_latent_shapes=[GRIDS[name] for name in drawn],
                packed_latent_position_ids=torch.cat([places(GRIDS[name], 64) for name in drawn]),
                packed_vae_token_indexes=made["vae"],
                packed_timesteps=torch.cat(
                    [torch.full((count,), t) for count, t in zip(counts, raw, strict=True)]
                ),
                mse_loss_indexes=made["loss"],
                ce_loss_indexes=made["text"],
                packed_label_ids=made["ids"],
            )
            after = hidden[0]
            return {
                "logits": parts.language_model.lm_head(after[made["text"]]),
                "velocities": parts.llm2vae(after[made["loss"]]),
            }
    finally:
        torch.randn_like = real
        hook.remove()


@torch.no_grad()
def pieces(parts: Any, autoencoder: Any) -> dict[str, torch.Tensor]:
    """What leads into the decoder and out of it."""
    eyes = parts.vit_model(
        packed_pixel_values=picture("seen", 12, 588),
        packed_flattened_position_ids=places(GRIDS["seen"], 70),
        cu_seqlens=torch.tensor([0, 12], dtype=torch.int32),
        max_seqlen=12,
    )
    params = autoencoder.AutoEncoderParams(
        resolution=256, in_channels=3, downsample=8, ch=WIDTH, out_ch=3, ch_mult=[1, 2, 4, 4],
        num_res_blocks=2, z_channels=16,
        scale_factor=0.3611, shift_factor=0.1159,
    )  # fmt: skip
    painter = autoencoder.AutoEncoder(params).eval()
    fill(painter, tables=False)
    painter.reg.sample = False
    rows = torch.arange(0, 4096, 157)
    return {
        "eyes": eyes,
        "connected": parts.connector(eyes),
        "times": parts.time_embedder(torch.tensor([0.0, 0.25, 0.7, 1.0])),
        "latent_table": parts.latent_pos_embed.pos_embed[rows],
        "vit_table": parts.vit_pos_embed.pos_embed[rows],
        "encoded": painter.encode(picture("pixels", 2, 3, 32, 48).tanh()),
        "decoded": painter.decode(picture("latents", 2, 16, 4, 6)),
    }


@torch.no_grad()
def inference(model: Any) -> dict[str, torch.Tensor]:
    """Pictures and texts through the cached path.

    They are an edit (picture, text) with three kinds of guidance, a picture from text, and an answer.
    """
    from modeling.bagel.qwen2_navit import NaiveCache

    model.eval()
    ids = {"bos_token_id": 1, "eos_token_id": 2, "start_of_image": 3, "end_of_image": 4}
    words = SimpleNamespace(encode=lambda text: IDS[int(text)][1:-1])
    clean = picture("clean", 16, 4, 6)
    painter = SimpleNamespace(encode=lambda _: clean[None])
    pixels = picture("seen pixels", 3, 56, 42)

    def nothing() -> tuple[Any, list[int], list[int]]:
        return NaiveCache(LLM["num_hidden_layers"]), [0], [0]

    def text(context: Any, number: int) -> Any:
        cache, lens, ropes = context
        made, lens, ropes = model.prepare_prompts(lens, ropes, [str(number)], words, ids)
        return model.forward_cache_update_text(cache, **made), lens, ropes

    def seen(context: Any) -> Any:
        cache, lens, ropes = context
        made, lens, ropes = model.prepare_vit_images(lens, ropes, [None], lambda _: pixels, ids)
        return model.forward_cache_update_vit(cache, **made), lens, ropes

    def looked_at(context: Any) -> Any:
        cache, lens, ropes = context
        made, lens, ropes = model.prepare_vae_images(
            lens, ropes, [None], lambda _: torch.zeros(3, 32, 48), ids
        )
        return model.forward_cache_update_vae(painter, cache, **made), lens, ropes

    def draw(full: Any, no_text: Any, no_image: Any, shape: tuple[int, int], **options: Any) -> torch.Tensor:
        made = model.prepare_vae_latent(full[1], full[2], [shape], ids)
        made["packed_init_noises"] = picture("start", shape[0] * shape[1] // 256, 64)
        for name, (cache, lens, ropes) in (("text", no_text), ("img", no_image)):
            for key, value in model.prepare_vae_latent_cfg(lens, ropes, [shape]).items():
                made[key.replace("cfg_", f"cfg_{name}_")] = value
            made[f"cfg_{name}_past_key_values"] = cache
        return model.generate_image(
            past_key_values=full[0], num_timesteps=7, timestep_shift=3.0, **made, **options
        )[0]

    out = {}
    before = seen(looked_at(nothing()))
    full, no_image = text(seen(looked_at(nothing())), 0), text(nothing(), 0)
    for kind in ("global", "channel", "text_channel"):
        out[f"edit_{kind}"] = draw(
            full,
            before,
            no_image,
            (48, 32),
            cfg_text_scale=4.0,
            cfg_img_scale=2.0,
            cfg_renorm_type=kind,
            cfg_interval=[0.4, 1.0],
        )
    out["drawing"] = draw(
        text(nothing(), 0),
        nothing(),
        text(nothing(), 0),
        (48, 32),
        cfg_text_scale=4.0,
        cfg_interval=[0.0, 1.0],
    )
    out["unguided"] = draw(text(nothing(), 0), nothing(), text(nothing(), 0), (48, 32))
    cache, lens, ropes = text(seen(nothing()), 1)
    start = model.prepare_start_tokens(lens, ropes, ids)
    out["answer"] = model.generate_text(past_key_values=cache, max_length=9, end_token_id=None, **start)[
        1:, 0
    ]
    return out


def sizes() -> dict[str, torch.Tensor]:
    """What the published rule makes of (width, height), for both kinds of training picture."""
    for name in ("cv2", "torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = types.ModuleType(name)
    whole = sys.modules["torchvision.transforms"]
    whole.InterpolationMode = SimpleNamespace(BICUBIC=3)  # type: ignore[attr-defined]
    whole.functional = SimpleNamespace(resize=lambda image, size, *_, **__: size)  # type: ignore[attr-defined]
    sys.modules["torchvision"].transforms = whole  # type: ignore[attr-defined]
    from data.transforms import MaxLongEdgeMinShortEdgeResize

    rules = {"drawn": (1024, 512, 16), "seen": (980, 378, 14), "replies": (980, 224, 14)}
    out = {}
    for name, (longest, shortest, stride) in rules.items():
        rule = MaxLongEdgeMinShortEdgeResize(longest, shortest, stride, 14 * 14 * 9 * 1024)
        fitted = [rule(SimpleNamespace(size=size), img_num=count) for count in (1, 3) for size in SIZES]
        out[f"sizes_{name}"] = torch.tensor([(width, height) for height, width in fitted])
    return out


def main(source: str) -> None:
    from safetensors.torch import save_file

    model, parts, autoencoder = {"nemo": nemo, "original": original}[source]()
    fill(parts, tables=True)
    answers = training(model, parts) | pieces(parts, autoencoder)
    if source == "original":
        answers |= inference(model) | sizes()
    FIXTURES.mkdir(exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in answers.items()}, FIXTURES / f"{source}.safetensors"
    )
    for name, value in answers.items():
        print(name, tuple(value.shape), value.float().std().item())


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main(sys.argv[1])
