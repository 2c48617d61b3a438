"""What the benchmark runs on: BAGEL-7B-MoT at its real shapes, or a tiny BAGEL that a CPU runs in seconds."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from unichar.cost.flops import Sizes
from unichar.cost.sizes import BAGEL_7B, bagel_parameters, bagel_sizes
from unichar.cost.workload import ROLESCAPE, ConversationLengths, TextLengths
from unichar.model.bagel.config import BagelConfig, TextConfig, VisionConfig
from unichar.presets import Preset, get_preset

TINY_BAGEL = BagelConfig(
    text=TextConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=264,
        max_position_embeddings=4096,
        rope_theta=1e6,
        rms_norm_eps=1e-6,
    ),
    vision=VisionConfig(
        hidden_size=48,
        intermediate_size=80,
        num_attention_heads=3,
        num_hidden_layers=3,
        patch_size=14,
        image_size=98,
    ),
    autoencoder_width=32,
    latent_side=4,
)
"""The layers of BAGEL with small matrices; its vocabulary is bytes and control tokens."""
CHECK_BAGEL = replace(
    TINY_BAGEL,
    text=replace(
        TINY_BAGEL.text,
        hidden_size=512,
        intermediate_size=768,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
    ),
    latent_side=8,
)
"""Heads as wide as BAGEL's, which decides the kernels of the attention."""
_TINY_TEXTS = TextLengths(
    conversations={
        "role_play": ConversationLengths(tokens=30, targets=8, pictures=0.0),
        "thinking": ConversationLengths(tokens=60, targets=30),
        "visual_qa": ConversationLengths(tokens=12, targets=4, pictures=1.0),
        "knowledge_qa": ConversationLengths(tokens=10, targets=4),
    },
    prompt=24,
    plain=12,
    portraits=ROLESCAPE.portraits,
)


_sizes, _parameters = cache(bagel_sizes), cache(bagel_parameters)
"""Counting takes a tenth of a second, and every prediction asks."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Shapes and amounts of a run."""

    name: str
    config: BagelConfig
    preset: Preset
    """Settings of the stages; its picture size is the one that is measured."""
    small_preset: Preset
    """Settings for one 24 GB card, whose SFT step is measured on the quantised model."""
    texts: TextLengths
    """Lengths of prompts and conversations."""

    # Amounts.
    matrix: int
    """Side of the matrices that the ceiling of products is measured with."""
    copied: int
    """Bytes of the copy that the ceiling of the memory is measured with."""
    batch: int
    """Pictures of a large batch."""
    passes: tuple[int, ...]
    """Pictures of the training passes; the last may run out of memory."""
    guided_steps: int
    """Steps of a guided picture."""
    plain_steps: int
    """Steps of a picture of a rollout."""
    read_tokens: int
    """Tokens of the long text that is read."""
    words: int
    """Tokens that a reply has."""
    replies: int
    """Replies that are written together."""
    runs: int
    """Runs that a median is taken over, if there is time."""

    def for_small_card(self) -> "Scale":
        """The same with the preset for one 24 GB card."""
        return replace(self, preset=self.small_preset)

    @property
    def image_size(self) -> int:
        """Side of a generated picture in pixels."""
        return self.preset.kit.size

    @property
    def parameters(self) -> dict[str, int]:
        """Part -> parameters, without adapters."""
        return _parameters(self.config)

    @property
    def sizes(self) -> Sizes:
        """What the plan counts with."""
        return _sizes(self.image_size, self.config)


def full_scale() -> Scale:
    """BAGEL-7B-MoT with the settings of the preset `bagel`."""
    preset = get_preset("bagel")
    return Scale(
        name="BAGEL-7B-MoT",
        config=BAGEL_7B,
        preset=preset,
        small_preset=get_preset("bagel-24gb"),
        texts=ROLESCAPE,
        matrix=8192,
        copied=4 << 30,
        batch=12,
        passes=(1, 6, 12, 24),
        guided_steps=preset.evaluation.sample_steps,
        plain_steps=preset.grpo.rollout.sample_steps,
        read_tokens=5000,
        words=64,
        replies=16,
        runs=5,
    )


def tiny_scale() -> Scale:
    """The same sections on a BAGEL with 0.2 million weights."""
    preset, small = _tiny("bagel"), _tiny("bagel-24gb")
    return Scale(
        name="a tiny BAGEL",
        config=TINY_BAGEL,
        preset=preset,
        small_preset=small,
        texts=_TINY_TEXTS,
        matrix=64,
        copied=1 << 20,
        batch=4,
        passes=(1, 2, 4),
        guided_steps=4,
        plain_steps=2,
        read_tokens=50,
        words=4,
        replies=3,
        runs=2,
    )


def _tiny(name: str) -> Preset:
    """A preset with the tiny BAGEL's picture size and few pictures."""
    preset: Any = get_preset(name)
    sft = replace(preset.sft, pictures=4, prompts=2, prior_pictures=2, prior_pool=2, und_rank=4, gen_rank=4)
    rollout = replace(preset.grpo.rollout, prompts=4, step_prompts=4, group=2, sample_steps=2)
    return replace(
        preset,
        kit=replace(preset.kit, size=64),
        load=replace(preset.load, image_size=0),
        sft=sft,
        grpo=replace(preset.grpo, rollout=rollout),
    )
