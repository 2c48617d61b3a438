"""Character-GRPO: the numbers one may turn. Values of DiffusionNFT in brackets (method: section 4)."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GrpoConfig:
    """Settings of the stage. Defaults are those of the preset `cpu`."""

    rounds: int = 14
    """Rounds of sampling, judging and learning."""
    prompts: int = 4
    """Prompts a round [48]."""
    group: int = 6
    """Pictures a prompt; they are compared with each other [24]."""
    sample_steps: int = 10
    """Sampling steps of a rollout [10]."""
    inner_steps: int = 2
    """Optimizer steps a round, each at fresh times and noise for every picture."""
    beta: float = 1.0
    """How far the implicit policies stand from the old one [1.0]."""
    kl: float = 0.01
    """Weight of the squared distance to the SFT model's velocities [1e-4]; what keeps pictures pictures."""
    lr: float = 5e-4
    """Learning rate of the expert's adapters [3e-4]."""
    advantage_clip: float = 5.0
    """Advantages are cut at plus and minus this many standard deviations [5]."""
    old_decay: float = 0.001
    """The sampling policy keeps min(old_decay x step, 0.5) of itself after each round [0.001]."""
    identity_weight: float = 1.0
    alignment_weight: float = 1.0
    diversity_weight: float = 0.5
    shift: float = 2.0
    """Timestep shift of sampling."""
    clip: float = 1.0
    """Largest gradient norm [1.0]."""
    watch_every: int = 4
    """Rounds between looks at the reward on held-out prompts."""
    watch_prompts: int = 8
    """Held-out prompts of such a look."""
    save_seconds: float = 30.0
    """Seconds between checkpoints a killed run resumes from."""

    def __post_init__(self) -> None:
        for name in ("rounds", "prompts", "sample_steps", "inner_steps", "watch_every", "watch_prompts"):
            if getattr(self, name) < 1:
                raise ValueError(f"GrpoConfig.{name} is {getattr(self, name)}; expected 1 or more")
        if self.group < 2:
            raise ValueError(f"GrpoConfig.group is {self.group}; expected 2 or more, advantages compare pictures of one prompt")
        if self.beta <= 0:
            raise ValueError(f"GrpoConfig.beta is {self.beta}; expected a positive number")
