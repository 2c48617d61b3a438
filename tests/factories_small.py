"""A nano of toy size with random weights: the real code and file formats at a hundredth of the cost.

`make_small_base(folder)` writes a base and a text backbone; with UNICHAR_BACKBONE on the backbone
(`small_home`), `load_model` reads them as it reads the real ones.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from factories_config import replaced
from factories_training import saved_step
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.judges.efficientnet import EfficientNetLite0, EfficientNetLite2
from unichar.model.load import load_model
from unichar.model.lora import COMPONENTS, LoraSettings, add_adapters, save_adapters
from unichar.model.nano.backbone import backbone_folder
from unichar.model.nano.config import NanoConfig
from unichar.model.nano.model import NanoModel
from unichar.model.protocol import UnifiedModel
from unichar.pretrain.pack import pack
from unichar.sft.config import SftConfig
from unichar.sft.train import Trainer, run
from unichar.store.files import sha256_file
from unichar.training.ranks import init_process_group, is_main, wait_for_all, world_size
from unichar.training.state import load_tensors
from unichar.types import StageJob

SIZES = NanoConfig(
    image_size=32,
    vae_widths=(8, 8, 16),
    every=2,
    backbone_layers=4,
    kv_heads=2,
    head_dim=16,
    expert_width=64,
    expert_heads=4,
    expert_mlp=96,
    vision_width=64,
    vision_layers=1,
    backbone_width=64,
)
SMALL = SftConfig(
    steps=6,
    conversations=8,
    pictures=8,
    prompts=4,
    prior_pictures=4,
    prior_pool=8,
    und_rank=4,
    gen_rank=4,
    save_seconds=0.0,
    tracker="",
)


def make_small_base(folder: Path, sizes: NanoConfig = SIZES) -> Path:
    """Write `folder/base.safetensors` and `folder/backbone`; returns the first. Frozen weights are bf16 and
    fp32, as in nano.

    The held-out attribute classifier in it has random weights too, and takes pictures of 128 pixels.
    """
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(backbone_folder())
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=SIZES.backbone_width,
        intermediate_size=96,
        num_hidden_layers=SIZES.backbone_layers,
        num_attention_heads=4,
        num_key_value_heads=SIZES.kv_heads,
        head_dim=SIZES.head_dim,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
    )
    backbone = LlamaForCausalLM(shape).bfloat16()
    backbone.save_pretrained(folder / "backbone")
    tokenizer.save_pretrained(folder / "backbone")
    model = NanoModel(sizes, backbone, tokenizer)
    with torch.no_grad():
        for parameter in model.gen.parameters():  # a fresh expert answers zero
            parameter.add_(0.05 * torch.randn_like(parameter))
    parts = {"vae": model.vae, "vision": model.vision, "connector": model.connector, "expert": model.gen}
    parts |= {
        "photo": EfficientNetLite0(),
        "photo_reward": EfficientNetLite2(),
        "examiner": AttributeClassifier(),
    }
    return pack(parts, sizes, {}, folder)


@contextlib.contextmanager
def small_home(base: Path):
    """Within it, the text backbone is the small one beside `base`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNICHAR_BACKBONE", str(base.parent / "backbone"))
        yield


@contextlib.contextmanager
def exact_arithmetic():
    """Within it nothing is computed in bf16, so that sums taken in another order agree to seven digits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
        yield


def small_model(base: Path, *, exact: bool = False) -> UnifiedModel:
    """The small base with fresh adapters; `exact` in fp32 throughout."""
    with small_home(base):
        model = load_model(base)
    if exact:
        model.float()
    settings = LoraSettings(rank=SMALL.und_rank, alpha=2 * SMALL.und_rank)
    add_adapters(model, und=settings, gen=settings, seed=0)
    return model


def train_steps(
    job: StageJob, *, exact: bool, folder: Path | None = None, steps: int = 3, resume_at: int = 0
) -> list[dict[str, float]]:
    """Numbers of the first steps; with `folder` the adapters after them are saved there.

    With `resume_at`, the state is saved before that step and another trainer goes on from it.
    """
    with exact_arithmetic() if exact else contextlib.nullcontext():
        model = small_model(job.base, exact=exact)
        trainer, numbers = Trainer(model, job), []
        for index in range(steps):
            if resume_at and index == resume_at:
                trainer.state("base").save(index)
                model = small_model(job.base, exact=exact)
                trainer = Trainer(model, job)
                assert trainer.state("base").load() == index
            numbers.append(trainer.step(index))
        if folder:
            save_adapters(model, folder, base_sha256=sha256_file(job.base))
    return numbers


def small_job(folder: Path, base: Path, inputs: dict[str, Path], **settings: Any) -> StageJob:
    """A job of `sft` on the small base; `settings` replace those of `SMALL`."""
    return job_in(folder, base, inputs, replaced(SMALL, **settings))


def job_in(folder: Path, base: Path, inputs: dict[str, Path], config: Any) -> StageJob:
    """A job whose `scratch` and `out` are made in the folder."""
    for name in ("scratch", "out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageJob(
        character="bramble",
        config=config,
        seed=0,
        inputs=inputs,
        base=base,
        scratch=folder / "scratch",
        out=folder / "out",
    )


def saved_adapters(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of both sides' saved adapters."""
    files = {name: load_tensors(folder / name / "adapter_model.safetensors")[0] for name in COMPONENTS}
    return {f"{side}.{name}": tensor for side, tensors in files.items() for name, tensor in tensors.items()}


def train_together(about: str) -> None:
    """In each of several processes: train with every setting in `about` (JSON), write losses and adapters."""
    spec = json.loads(about)
    folder, inputs = Path(spec["folder"]), {noun: Path(path) for noun, path in spec["inputs"].items()}
    init_process_group()
    assert world_size() == 2
    for name, (settings, exact, resume_at) in spec["runs"].items():
        job = small_job(folder / name, Path(spec["base"]), inputs, **settings)
        numbers = train_steps(job, exact=exact, folder=folder / name / "adapters", resume_at=resume_at)
        if is_main():
            (folder / name / "numbers.json").write_text(json.dumps(numbers))
    wait_for_all()


def train_through_kills(about: str) -> None:
    """Train in children that are killed outright as soon as the state holds each of the told steps, then to
    the end.

    Prints how each child ended: its signal, or minus its exit code. With `limit`, the last one can write no
    larger file, as if the disk were full. Children are forked after the imports, which take longer than the
    training; nothing of torch has run in the parent.
    """
    spec = json.loads(about)
    folder, inputs = Path(spec["folder"]), {noun: Path(path) for noun, path in spec["inputs"].items()}
    job = small_job(folder, Path(spec["base"]), inputs, **spec["settings"])
    for kill_at in [*spec["kills"], None]:
        child = os.fork()
        if not child:
            os._exit(_train(job, spec.get("limit") if kill_at is None else None))
        while kill_at is not None and saved_step(job.scratch / "state.safetensors") < kill_at:
            time.sleep(0.002)
        if kill_at is not None:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)


def _train(job: StageJob, limit: int | None) -> int:
    """Exit code of a run, as of the command line."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        run(job)
    except (ValueError, OSError) as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    train_together(sys.argv[1])
