"""Settings of Character-GRPO. No torch.

In brackets the values of DiffusionNFT and, after `flow`, of the paper's Flow-GRPO.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from unichar.domains.base import Domain
from unichar.errors import UserError
from unichar.judges.config import JudgesConfig


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How the pictures of a round are sampled and split into minibatches."""

    prompts: int = 16
    """Prompts per round, all sampled by one policy before any is trained on [48; flow 48]."""
    step_prompts: int = 4
    """Prompts per optimizer step [48; flow 48]."""
    group: int = 10
    """Pictures per prompt; advantages compare them with each other [24; flow 8]."""
    sample_steps: int = 10
    """Sampling steps per picture [10; flow 14]."""
    shift: float = 2.0
    """Timestep shift of the sampler [flow 3]."""
    guidance: float = 1.0
    """Classifier-free guidance of the pictures that `nft` learns from; 1 is none and halves the cost. See
    `flow_grpo.guidance` for the other algorithm [1.0]."""
    microbatches: int = 1
    """Microbatches of an optimizer step, for sampling, scoring and training: less memory, the same result;
    0 chooses the fewest that fit the GPU."""

    def __post_init__(self) -> None:
        _expect_counts("rollout", self, "prompts", "step_prompts", "sample_steps")
        if self.microbatches < 0:
            raise UserError(
                f"GrpoConfig.rollout.microbatches is {self.microbatches}; expected 1 or more, or 0 for as "
                "few as fit"
            )

        # An advantage is a difference within a group; a single picture has none.
        if self.group < 2:
            raise UserError(
                f"GrpoConfig.rollout.group is {self.group}; expected 2 or more, "
                "advantages compare pictures of one prompt"
            )

    @property
    def minibatches(self) -> int:
        """Optimizer steps per epoch over a round."""
        return math.ceil(self.prompts / self.step_prompts)


@dataclass(frozen=True, kw_only=True)
class NftConfig:
    """DiffusionNFT (arXiv:2509.16117); read when `algorithm` is `nft`."""

    beta: float = 0.2
    """Distance of the implicit policies from the sampling policy; smaller values allow larger updates
    [1.0]."""
    domain_beta: dict[str, float] = field(default_factory=lambda: {"photo": 0.5})
    """Name of a domain -> its own `beta`; on photographs, which nano knows less well, 0.2 leads astray
    [none]."""
    times: int = 2
    """Timesteps per picture and optimizer step, drawn from the first half of the sampler's, which decides the
    content [9 of all 10]."""
    ema_decay_per_step: float = 0.0
    """The sampling policy is an EMA with decay min(ema_decay_per_step x optimizer steps, 0.5), updated once
    per round [0.001]."""
    kl: float = 0.0
    """Weight of the squared velocity distance to the SFT model; above 0 it costs a forward pass more
    [1e-4]."""

    def __post_init__(self) -> None:
        _expect_counts("nft", self, "times")
        _expect_positive("nft", self, "beta")
        for domain, beta in self.domain_beta.items():
            if beta <= 0:
                raise UserError(
                    f"GrpoConfig.nft.domain_beta[{domain!r}] is {beta}; expected a positive number"
                )


@dataclass(frozen=True, kw_only=True)
class FlowGrpoConfig:
    """Flow-GRPO (arXiv:2505.05470); read when `algorithm` is `flow_grpo`."""

    noise_level: float = 0.7
    """Noise of the stochastic steps [flow 1.3]."""
    window: int = 3
    """Stochastic steps per rollout, consecutive, within the first half of the sampling steps [flow 3]."""
    clip_range: float = 1e-4
    """Ratios are clipped to 1 plus and minus this; small, since log-likelihoods are means [flow 1e-5]."""
    guidance: float = 1.0
    """Classifier-free guidance of rollouts and training; 1 is none and halves the cost [flow 4]."""
    kl: float = 0.0
    """Weight of the KL divergence from the SFT model: squared distance of step means over twice their noise
    variance; above 0 it costs one more forward pass [flow 0]."""

    def __post_init__(self) -> None:
        _expect_counts("flow_grpo", self, "window")
        _expect_positive("flow_grpo", self, "noise_level", "clip_range")


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Weights of the reward terms, the judges behind them, and how rewards become advantages."""

    # Terms; their scales differ, so weights do not say how much each one contributes.
    identity_weight: float = 1.0
    """Weight of the likeness to the character, on a scale from the negatives to a copy [flow 0.15]."""
    alignment_weight: float = 1.0
    """Weight of prompt alignment [flow 0.75]."""
    diversity_weight: float = 4.0
    """Weight of the distance to the other pictures of the prompt; distances are small numbers [flow 0.1]."""
    naturalness_weight: float = 0.5
    """Weight of naturalness under the model's own denoiser; without it, smears that fool the encoder win."""
    consistency_weight: float = 0.0
    """Weight of showing what a reply says; above 0 every third prompt is a multimodal turn. Photographs need
    a judge that reads text: `judges.clip` or `judges.endpoint`."""

    # Judges.
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    """Judges of photographs besides the base's own encoders [flow CLIP, DINO, BLIP]."""

    # From rewards to advantages.
    min_spread: float = 1e-3
    """Groups whose rewards have a smaller standard deviation carry no signal and are skipped."""
    advantage_clip: float = 2.0
    """Advantages are clipped to plus and minus this many standard deviations [5; flow 5]."""


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Validation by an independent evaluator on prompts that are neither trained on nor in the report."""

    every: int = 2
    """Rounds between validations."""
    prompts: int = 16
    """Prompts per validation."""
    group: int = 4
    """Pictures per prompt."""
    sample_steps: int = 10
    """Sampling steps per picture."""
    guidance: float = 2.0
    """Classifier-free guidance of validation pictures; must be that of the report."""
    shift: float = 2.0
    """Timestep shift of validation pictures; must be that of the report."""
    max_identity_drop: float = 0.03
    """Training stops when the evaluator's identity falls by more than this below that of the SFT model."""
    keep: Literal["best", "last"] = "best"
    """Which adapters are saved: the best by the evaluator's score (the SFT model's included), or the last."""

    def __post_init__(self) -> None:
        _expect_counts("validation", self, "every", "prompts", "group", "sample_steps")
        if self.keep not in ("best", "last"):
            raise UserError(f"GrpoConfig.validation.keep is {self.keep!r}; expected best or last")


@dataclass(frozen=True, kw_only=True)
class TextRlConfig:
    """Reinforcement of replies after the pictures; beyond the paper."""

    rounds: int = 0
    """Rounds; 0 leaves the text adapters as SFT made them."""

    # Rollouts.
    prompts: int = 2
    """Questions per round."""
    group: int = 4
    """Replies per question."""
    max_tokens: int = 40
    """Longest reply."""
    temperature: float = 1.0
    """Sampling temperature of the replies that are compared."""

    # Optimization.
    lr: float = 1e-4
    """Learning rate of the text adapters."""
    regularizer_weight: float = 0.5
    """Weight of the SFT regularizer: the cross-entropy of SFT's own replies to the same questions."""

    def __post_init__(self) -> None:
        # Off by default; settings of what does not run are not checked.
        if self.rounds > 0:
            _expect_counts("text", self, "prompts", "max_tokens")
        if self.rounds > 0 and self.group < 2:
            raise UserError(
                f"GrpoConfig.text.group is {self.group}; expected 2 or more, "
                "advantages compare replies to one question"
            )


@dataclass(frozen=True, kw_only=True)
class GrpoConfig:
    """Settings of the stage `grpo`. Defaults are those of the preset `cpu`."""

    algorithm: Literal["nft", "flow_grpo"] = "nft"
    """How pictures are reinforced: DiffusionNFT, or the paper's Flow-GRPO."""

    # Length of the run.
    rounds: int = 4
    """Rounds of sampling, scoring and training [flow 101]."""
    epochs: int = 3
    """Epochs over a round's pictures; nft draws new times and noise in each, flow_grpo repeats its steps
    [1; flow 2]."""

    # Optimizer.
    lr: float = 5e-4
    """Peak learning rate of the picture adapters [3e-4; flow 1e-5, full tuning]."""
    lr_decay: float = 1.0
    """Fraction of the optimizer steps, the last ones, over which the rate falls to 0; with 0 it stays
    constant after the warmup [0; flow 0]."""
    clip: float = 1.0
    """Largest gradient norm [1.0]."""

    # Memory; changes the numbers by rounding only.
    shard: bool = False
    """Whether ranks split the weights between them (FSDP2) instead of each holding all [none]."""

    # Logs and checkpoints.
    tracker: str = "tensorboard"
    """Where the curve goes besides `curve.jsonl`: a tracker of accelerate (tensorboard, mlflow, ...) or
    ""."""
    save_seconds: float = 30.0
    """Least seconds between the checkpoints a killed run resumes from; more where saving takes long."""

    # Groups of settings: rollouts, the two algorithms, rewards, validation, text RL.
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    nft: NftConfig = field(default_factory=NftConfig)
    flow_grpo: FlowGrpoConfig = field(default_factory=FlowGrpoConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    text: TextRlConfig = field(default_factory=TextRlConfig)

    def __post_init__(self) -> None:
        if self.algorithm not in ("nft", "flow_grpo"):
            raise UserError(f"GrpoConfig.algorithm is {self.algorithm!r}; expected nft or flow_grpo")
        _expect_counts("", self, "rounds", "epochs")
        if not 0 <= self.lr_decay <= 1:
            raise UserError(f"GrpoConfig.lr_decay is {self.lr_decay}; expected a fraction from 0 to 1")

        # Replies are sampled token by token, which would gather all weights for every token.
        if self.shard and self.text.rounds:
            raise UserError(
                f"GrpoConfig.shard is set and text.rounds is {self.text.rounds}; expected one of them off, "
                "since replies are not reinforced with sharded weights"
            )

        # The window of stochastic steps lies within the sampling steps.
        steps = self.rollout.sample_steps
        if self.algorithm == "flow_grpo" and self.flow_grpo.window > steps:
            raise UserError(
                f"GrpoConfig.flow_grpo.window is {self.flow_grpo.window}; "
                f"expected at most rollout.sample_steps ({steps}), of which it is a part"
            )

    def for_domain(self, domain: Domain) -> "GrpoConfig":
        """The settings as they apply to one kind of pictures.

        Raises:
            UserError: A reward is weighted that no judge can give.
        """
        # Toon attributes are read by a classifier; other pictures need a judge that knows text.
        weight, judges = self.reward.consistency_weight, self.reward.judges
        if weight and not (domain.reads_attributes or judges.clip or judges.endpoint):
            raise UserError(
                f"GrpoConfig.reward.consistency_weight is {weight}, but no judge compares pictures of the "
                f"domain {domain.name!r} with text; expected GrpoConfig.reward.judges with clip or endpoint "
                "(docs/judges.md), or the weight 0"
            )

        # A domain's own beta replaces the general one, so that algorithms read one number.
        beta = self.nft.domain_beta.get(domain.name, self.nft.beta)
        return replace(self, nft=replace(self.nft, beta=beta))


def _expect_counts(group: str, config: Any, *names: str) -> None:
    """Raise UserError for a field below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise UserError(f"{_path(group, name)} is {getattr(config, name)}; expected 1 or more")


def _expect_positive(group: str, config: Any, *names: str) -> None:
    """Raise UserError for a field that is 0 or negative."""
    for name in names:
        if getattr(config, name) <= 0:
            raise UserError(f"{_path(group, name)} is {getattr(config, name)}; expected a positive number")


def _path(group: str, name: str) -> str:
    return ".".join(part for part in ("GrpoConfig", group, name) if part)
