"""Whole runs as named functions: a run is a preset, a character and a seed. No torch.

    smoke   everything tiny, proves that the line works (under two minutes on 2 cores)
    cpu     the embedded default: nano on 2 cores, ten minutes a character
    bagel   production: BAGEL-7B-MoT on GPUs, the paper's settings

`python -m unichar customize --character mochi --preset smoke`
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from unichar.evaluation.config import EvaluationConfig
from unichar.grpo.config import GrpoConfig
from unichar.interactions.config import InteractionsConfig
from unichar.kit.config import KitConfig
from unichar.release_config import ReleaseConfig
from unichar.sft.config import SftConfig
from unichar.store import Stage


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The settings of every stage, resolved."""

    name: str
    """What `--preset` takes."""
    model: Literal["nano", "bagel"]
    """The model family: which base, and which code under `unichar/model/`."""
    kit: KitConfig
    """Of `validate` and `curate`."""
    interactions: InteractionsConfig
    """Of `synthesize`."""
    sft: SftConfig
    grpo: GrpoConfig
    evaluation: EvaluationConfig
    release: ReleaseConfig

    def config_of(self, stage: Stage) -> Any:
        """The settings of one stage."""
        return getattr(self, stage.config)


def smoke() -> Preset:
    """Everything tiny."""
    return Preset(
        name="smoke",
        model="nano",
        kit=KitConfig(),
        interactions=InteractionsConfig(),
        sft=SftConfig(),
        grpo=GrpoConfig(),
        evaluation=EvaluationConfig(),
        release=ReleaseConfig(),
    )


def cpu() -> Preset:
    """The embedded default: two cores, ten minutes."""
    return Preset(
        name="cpu",
        model="nano",
        kit=KitConfig(),
        interactions=InteractionsConfig(),
        sft=SftConfig(),
        grpo=GrpoConfig(),
        evaluation=EvaluationConfig(),
        release=ReleaseConfig(),
    )


def bagel() -> Preset:
    """Production: the paper's settings on GPUs."""
    return Preset(
        name="bagel",
        model="bagel",
        kit=KitConfig(),
        interactions=InteractionsConfig(),
        sft=SftConfig(),
        grpo=GrpoConfig(),
        evaluation=EvaluationConfig(),
        release=ReleaseConfig(),
    )


PRESETS: dict[str, Callable[[], Preset]] = {"smoke": smoke, "cpu": cpu, "bagel": bagel}


def get_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        ValueError: There is none.
    """
    if name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]()
