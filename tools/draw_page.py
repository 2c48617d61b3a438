"""A page of unseen captions of every style: python tools/draw_page.py runs/base page.png

Drawn with the average weights of the expert as they are now, while it trains or after. The captions stand in
a text file beside the picture, in the same order.
"""

import argparse
from pathlib import Path

from unichar.model.nano.backbone import load_backbone
from unichar.model.nano.expert import GenerationExpert
from unichar.model.nano.model import NanoModel
from unichar.pretrain.build import PHASES, SHAPE, Training
from unichar.pretrain.worlds.art import Art
from unichar.pretrain.worlds.page import drawn_page
from unichar.training.state import load_tensors


def main() -> None:
    """Draw the page with the expert's average weights, as they are now."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("scratch", type=Path, help="folder of the phases, with art/ and pictures/")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()

    scratch = options.scratch
    und, tokenizer = load_backbone()
    model = NanoModel(SHAPE, und, tokenizer)
    model.vae = Training(PHASES, scratch, scratch / "first.safetensors").vae
    model.gen = _expert(scratch / "expert" / "state.safetensors")

    page, captions = drawn_page(model.eval().requires_grad_(False), Art(scratch / "art"))
    page.save(options.out)
    options.out.with_suffix(".txt").write_text("\n".join(captions) + "\n")


def _expert(state: Path) -> GenerationExpert:
    """The average of an expert that is still training."""
    tensors, metadata = load_tensors(state)
    print(f"expert after {metadata['step']} steps")
    expert = GenerationExpert(SHAPE)
    expert.load_state_dict({name: tensors[f"average.{name}"] for name in expert.state_dict()})
    return expert


if __name__ == "__main__":
    main()
