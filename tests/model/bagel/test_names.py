"""Names and shapes are those of the published weights: 1223 tensors, and 244 of the autoencoder."""

import math

import pytest
from factories_bagel import PUBLISHED_LLM, PUBLISHED_VIT, make_config, published_shapes

H, F, KV = 3584, 18944, 512
LAYER = "language_model.model.layers.27."


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    return published_shapes(make_config(PUBLISHED_LLM, PUBLISHED_VIT, width=128))


def test_there_are_as_many(shapes):
    autoencoder = {name for name in shapes if name.startswith(("encoder.", "decoder."))}
    assert (len(shapes) - len(autoencoder), len(autoencoder)) == (1223, 244)
    assert sum(math.prod(shapes[name]) for name in shapes.keys() - autoencoder) == 14_607_260_128
    assert sum("moe_gen" in name for name in shapes) == 28 * 14 + 1


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("language_model.model.embed_tokens.weight", (152064, H)),
        ("language_model.lm_head.weight", (152064, H)),
        ("language_model.model.norm.weight", (H,)),
        ("language_model.model.norm_moe_gen.weight", (H,)),
        (LAYER + "input_layernorm.weight", (H,)),
        (LAYER + "post_attention_layernorm_moe_gen.weight", (H,)),
        (LAYER + "self_attn.q_proj.bias", (H,)),
        (LAYER + "self_attn.k_proj_moe_gen.weight", (KV, H)),
        (LAYER + "self_attn.v_proj_moe_gen.bias", (KV,)),
        (LAYER + "self_attn.o_proj_moe_gen.weight", (H, H)),
        (LAYER + "self_attn.q_norm_moe_gen.weight", (128,)),
        (LAYER + "mlp.gate_proj.weight", (F, H)),
        (LAYER + "mlp_moe_gen.down_proj.weight", (H, F)),
        ("time_embedder.mlp.0.weight", (H, 256)),
        ("vae2llm.weight", (H, 64)),
        ("llm2vae.bias", (64,)),
        ("latent_pos_embed.pos_embed", (4096, H)),
        ("vit_pos_embed.pos_embed", (4900, H)),
        ("connector.fc1.weight", (H, 1152)),
        ("vit_model.vision_model.embeddings.patch_embedding.weight", (1152, 588)),
        ("vit_model.vision_model.embeddings.position_embedding.weight", (4900, 1152)),
        ("vit_model.vision_model.encoder.layers.25.self_attn.out_proj.bias", (1152,)),
        ("vit_model.vision_model.encoder.layers.25.mlp.fc1.weight", (4304, 1152)),
        ("vit_model.vision_model.post_layernorm.bias", (1152,)),
        ("encoder.down.1.block.0.nin_shortcut.weight", (256, 128, 1, 1)),
        ("encoder.down.2.downsample.conv.weight", (512, 512, 3, 3)),
        ("encoder.conv_out.weight", (32, 512, 3, 3)),
        ("decoder.mid.attn_1.proj_out.weight", (512, 512, 1, 1)),
        ("decoder.up.0.block.0.nin_shortcut.weight", (128, 256, 1, 1)),
        ("decoder.up.3.upsample.conv.bias", (512,)),
    ],
)
def test_they_are_called_and_shaped_alike(shapes, name, shape):
    assert shapes[name] == shape
