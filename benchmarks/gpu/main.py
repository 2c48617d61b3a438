"""The command line of `benchmarks/bagel_gpu.py`: which sections run, on what, and where results go."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

from gpu.checks import checks
from gpu.drawing import build, pictures, velocities
from gpu.files import files
from gpu.four_bit import four_bit
from gpu.kernels import attention_kernels, ceilings
from gpu.lab import Lab, Section, last_json
from gpu.memory import fitted
from gpu.plan import H100, plan_of
from gpu.reading import texts
from gpu.scales import full_scale, tiny_scale
from gpu.summary import markdown, predictions, summary
from gpu.training import grpo_round, passes, sft_step

SECTIONS = (
    Section(name="checks", seconds=40, run=checks),
    Section(name="ceilings", seconds=10, run=ceilings),
    Section(name="build", seconds=20, run=build),
    Section(name="attention", seconds=25, run=attention_kernels),
    Section(name="velocity", seconds=50, run=velocities),
    Section(name="pictures", seconds=45, run=pictures),
    Section(name="passes", seconds=60, run=passes),
    Section(name="sft", seconds=65, run=sft_step),
    Section(name="grpo", seconds=80, run=grpo_round),
    Section(name="texts", seconds=25, run=texts),
    Section(name="nf4", seconds=40, run=four_bit),
    Section(name="files", seconds=20, run=files),
)
"""In this order; seconds are those of one H100."""


def main(about: str) -> int:
    """0, or 1 where a section failed."""
    options = arguments(about)
    if options.markdown or options.predict:
        found = (
            predictions(fitted(full_scale(), H100.memory), H100)
            if options.predict
            else last_json(options.markdown)
        )
        print(markdown(found), end="")
        return 0

    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("PyTorch sees no GPU here: try --tiny --device cpu", file=sys.stderr)
        return 2
    if device.type == "cpu" and not (options.tiny or options.check):
        print("the whole model is for a GPU: add --tiny, or --check", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory(prefix="unichar-gpu-") as folder:
        plan = plan_of(device)
        lab = Lab(
            scale=fitted(tiny_scale() if options.tiny else full_scale(), plan.memory),
            device=device,
            plan=plan,
            out=options.out,
            folder=Path(folder),
            seconds=options.seconds,
        )
        lab.facts = facts(lab)
        lab.run(chosen(options))
        lab.facts["summary"] = summary(lab)
        lab.write()

    print(markdown(last_json(options.out)), end="")
    return int(any(section["status"] == "failed" for section in lab.sections))


def arguments(about: str) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("bagel_gpu.json"), help="the results")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny BAGEL: tests the script itself")
    parser.add_argument("--seconds", type=float, default=460, help="of the whole run")
    parser.add_argument("--check", action="store_true", help="only whether the numbers are right")
    parser.add_argument("--only", default="", help="sections to run, with commas between them")
    parser.add_argument("--markdown", type=Path, help="print the table of results made before")
    parser.add_argument("--predict", action="store_true", help="print the predictions for an H100 alone")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> list[Section]:
    """The sections to run."""
    if options.check:
        return [section for section in SECTIONS if section.name == "checks"]

    names = set(filter(None, options.only.split(",")))
    unknown = names - {section.name for section in SECTIONS}
    if unknown:
        known = ", ".join(section.name for section in SECTIONS)
        raise SystemExit(f"there is no section {', '.join(sorted(unknown))}; the sections are {known}")
    return [section for section in SECTIONS if not names or section.name in names | {"build"}]


def facts(lab: Lab) -> dict[str, object]:
    """The machine, the versions and the date."""
    import transformers

    return {
        "card": lab.plan.card,
        "peak_tflops": lab.plan.peak / 1e12,
        "memory_gb": round(lab.plan.memory / 1e9, 1),
        "mfu_predicted": lab.plan.mfu,
        "model": lab.scale.name,
        "microbatches": {
            "sft": lab.scale.preset.sft.microbatches,
            "grpo": lab.scale.preset.grpo.rollout.microbatches,
            "sft, 24 GB": lab.scale.small_preset.sft.microbatches,
        },
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cuda": torch.version.cuda,
        "date": time.strftime("%Y-%m-%d"),
    }
