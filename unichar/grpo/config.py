"""Character-GRPO: the numbers one may turn. Values of DiffusionNFT in brackets, of the paper's Flow-GRPO as `[flow ...]`."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from unichar.judges.config import JudgesConfig


@dataclass(frozen=True, kw_only=True)
class GrpoConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`."""

    algorithm: Literal["nft", "flow_grpo"] = "nft"
    """How pictures are reinforced: DiffusionNFT, or the paper's Flow-GRPO."""
    rounds: int = 4
    """Rounds of sampling, judging and learning [flow 101]."""
    prompts: int = 16
    """Prompts a round, all sampled by one policy before any is learned from [48] [flow 48]."""
    step_prompts: int = 4
    """Prompts an optimizer step [48] [flow 48]."""
    group: int = 10
    """Pictures a prompt; they are compared with each other [24] [flow 8]."""
    sample_steps: int = 10
    """Sampling steps of a rollout [10] [flow 14]."""
    epochs: int = 3
    """Passes over a round's pictures; nft takes each at fresh times and noise, flow_grpo over the same steps [1] [flow 2]."""
    times: int = 2
    """nft: times each picture is learned at in an optimizer step, of the sampler's first half, where what it shows is decided
    [9 of all 10]."""
    kl: float = 0.0
    """Weight of the distance to the SFT model, which costs a pass more: for nft squared, of velocities [1e-4]; for flow_grpo of
    the means of steps, over twice their squared noise [flow 0]."""
    lr: float = 5e-4
    """Learning rate of the expert's adapters [3e-4] [flow 1e-5, full tuning]."""
    lr_decay: float = 1.0
    """Share of the optimizer steps, the last ones, over which the rate falls to nothing; with 0 it stays after the rise of the
    first steps [0] [flow 0]."""
    advantage_clip: float = 2.0
    """Advantages are cut at plus and minus this many standard deviations [5] [flow 5]."""
    min_spread: float = 1e-3
    """A prompt whose rewards have a smaller standard deviation has nothing to teach and is skipped."""
    beta: float = 0.2
    """nft: how far the implicit policies stand from the old one; the smaller, the further a round may lead [1.0]."""
    photo_beta: float = 0.5
    """`beta` for a character of photographs, which nano knows less well than toons: the same would lead it astray [1.0]."""
    old_decay: float = 0.0
    """nft: after each round the sampling policy keeps min(old_decay x optimizer steps, 0.5) of itself [0.001]."""
    noise_level: float = 0.7
    """flow_grpo: noise of the stochastic steps [flow 1.3]."""
    window: int = 3
    """flow_grpo: stochastic steps of a rollout, somewhere in its first half [flow 3]."""
    clip_range: float = 1e-4
    """flow_grpo: how far the ratio of likelihoods may leave 1; small, since log-likelihoods are means [flow 1e-5]."""
    rollout_guidance: float = 1.0
    """flow_grpo: classifier-free guidance of rollouts and learning; 1 is none, and costs half [flow 4]."""
    identity_weight: float = 1.0
    """Reward for who is in the picture: inside the band between a stranger and a copy [flow 0.15]."""
    alignment_weight: float = 1.0
    """Reward for what the prompt asks for [flow 0.75]."""
    diversity_weight: float = 4.0
    """Reward for being unlike the other pictures of the prompt [flow 0.1]; such distances are small, hence the number."""
    naturalness_weight: float = 0.5
    """Reward for what the model would take for a picture; without it smears win that only the reader takes for a book."""
    consistency_weight: float = 0.0
    """Reward for showing what a reply says; above 0 every third prompt is a moment of conversation. Photographs need a
    judge that reads for it: `judges.clip` or `judges.endpoint`."""
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    """Further judges of photographs for the reward; without any it looks with the model's own tower [flow CLIP, DINO, BLIP]."""
    shift: float = 2.0
    """Timestep shift of sampling [flow 3]."""
    clip: float = 1.0
    """Largest gradient norm [1.0]."""
    accumulate: int = 1
    """Parts in which a step's pictures are drawn, judged and learned from, one after the other: less memory, the same round."""
    validation_every: int = 2
    """Rounds between looks at watch prompts, which are neither learned from nor in the report."""
    validation_prompts: int = 16
    """Prompts of such a look."""
    validation_group: int = 4
    """Pictures a prompt of such a look."""
    validation_guidance: float = 2.0
    """Classifier-free guidance of pictures that are looked at, as in reports."""
    max_identity_drop: float = 0.03
    """Training stops when identity, by the independent evaluator, falls by more than this below its value at the start."""
    keep: Literal["best", "last"] = "best"
    """Which adapters are the result: the best by the independent evaluator (the SFT model's count too), or the last."""
    text_rounds: int = 0
    """Rounds of reinforcing replies after those of the pictures; beyond the paper, 0 leaves the words as SFT made them."""
    text_prompts: int = 2
    """Questions a round."""
    text_group: int = 4
    """Replies a question."""
    text_tokens: int = 40
    """Longest reply."""
    text_temperature: float = 1.0
    """Of the replies that are compared."""
    text_lr: float = 1e-4
    """Learning rate of the text adapters."""
    text_leash: float = 0.5
    """Weight of the cross-entropy of SFT's own replies to the same questions."""
    tracker: str = "tensorboard"
    """Where the curve goes besides `curve.jsonl`: a tracker that accelerate knows, as tensorboard or mlflow; empty for none."""
    save_seconds: float = 30.0
    """Seconds between checkpoints a killed run resumes from."""

    def __post_init__(self) -> None:
        whole = (
            "rounds",
            "prompts",
            "sample_steps",
            "step_prompts",
            "epochs",
            "times",
            "validation_every",
            "validation_prompts",
            "validation_group",
            "window",
            "accumulate",
        )
        for name in whole:
            if getattr(self, name) < 1:
                raise ValueError(f"GrpoConfig.{name} is {getattr(self, name)}; expected 1 or more")
        if self.group < 2:
            raise ValueError(
                f"GrpoConfig.group is {self.group}; expected 2 or more, advantages compare pictures of one prompt"
            )
        if self.text_rounds > 0 and (self.text_prompts < 1 or self.text_group < 2):
            raise ValueError(
                f"GrpoConfig.text_prompts is {self.text_prompts} and text_group {self.text_group}; expected 1 and 2 or more"
            )
        for name in ("beta", "photo_beta", "noise_level", "clip_range"):
            if getattr(self, name) <= 0:
                raise ValueError(f"GrpoConfig.{name} is {getattr(self, name)}; expected a positive number")
        if not 0 <= self.lr_decay <= 1:
            raise ValueError(f"GrpoConfig.lr_decay is {self.lr_decay}; expected a share, from 0 to 1")
        self._check_choices()

    def for_kind(self, *, toons: bool) -> "GrpoConfig":
        """The settings as they apply to one kind of character."""
        return self if toons else replace(self, beta=self.photo_beta)

    @property
    def steps(self) -> int:
        """Optimizer steps of a pass over a round."""
        return math.ceil(self.prompts / self.step_prompts)

    def _check_choices(self) -> None:
        if self.algorithm not in ("nft", "flow_grpo"):
            raise ValueError(f"GrpoConfig.algorithm is {self.algorithm!r}; expected nft or flow_grpo")
        if self.keep not in ("best", "last"):
            raise ValueError(f"GrpoConfig.keep is {self.keep!r}; expected best or last")
        if self.algorithm == "flow_grpo" and self.window > self.sample_steps:
            raise ValueError(
                f"GrpoConfig.window is {self.window}; expected at most sample_steps ({self.sample_steps}), it is a part of them"
            )
