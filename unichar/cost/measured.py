"""FLOPs of a finished training: the `flops` of its summary, computed from the real base, texts and steps.

The pipeline calls it after `sft` and `grpo`, so trainers do not import the cost package.
"""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, LlamaConfig

from unichar.cost.flops import Sizes
from unichar.cost.grpo import round_flops
from unichar.cost.sft import step_flops
from unichar.cost.sizes import bagel_parameters, bagel_sizes, nano_parameters, nano_sizes
from unichar.cost.workload import measured_texts
from unichar.domains.lookup import domain_of
from unichar.model.bagel.stored import find_tensors
from unichar.model.bagel.weights import read_shape
from unichar.model.lora import saved_rank
from unichar.model.nano import loading as nano
from unichar.model.nano.backbone import backbone_folder
from unichar.types import CuratedKit, StageJob, read_interactions


def training_flops(verb: str, job: StageJob, summary: dict[str, Any]) -> dict[str, float]:
    """`{"flops": ...}` of a finished `sft` or `grpo`; empty for other stages."""
    if verb not in ("sft", "grpo"):
        return {}

    # The real base and the real texts, where an estimate has to assume them.
    sizes = base_sizes(job.base, job.load.image_size)
    texts = measured_texts(read_interactions(job.inputs["interactions"] / "train.jsonl"))

    # The settings as the trainer resolved them for this kind of pictures.
    kit = CuratedKit.read(job.inputs["curated_kit"])
    config = job.config.for_domain(domain_of(kit))

    # Early stopping may have ended the run, so steps and rounds are those of the summary.
    if verb == "sft":
        return {"flops": summary["optimizer_steps"] * step_flops(sizes, texts, config)}

    # GRPO has no rank among its settings: it goes on with the adapters of SFT.
    rank = saved_rank(job.inputs["sft_checkpoint"] / "adapters" / "gen")
    return {"flops": summary["rounds"] * round_flops(sizes, texts, config, gen_rank=rank)}


def base_sizes(base: Path, image_size: int = 0) -> Sizes:
    """Sizes of a base on disk: a file (nano) or a folder (BAGEL). Reads headers and configurations only.

    `image_size` is the side of a BAGEL's pictures in pixels; 0 is what the folder says.
    """
    if base.is_dir():
        config, default_size = read_shape(base, find_tensors(base))
        return bagel_sizes(image_size or default_size, config)

    backbone = AutoConfig.from_pretrained(backbone_folder())
    assert isinstance(backbone, LlamaConfig)
    return nano_sizes(nano.read_shape(base), backbone)


def base_parameters(base: Path) -> dict[str, int]:
    """Part -> parameters of a base on disk."""
    if base.is_dir():
        config, _ = read_shape(base, find_tensors(base))
        return bagel_parameters(config)
    return nano_parameters(nano.read_shape(base))
