"""BAGEL on a GPU, measured: speed and memory of every part, beside what `unichar plan` predicts.

    python3 benchmarks/bagel_gpu.py --out gpu.json                  # on one card, under eight minutes
    python3 benchmarks/bagel_gpu.py --check                         # under a minute: are the numbers right?
    python3 benchmarks/bagel_gpu.py --markdown gpu.json             # the tables of docs/gpu.md
    python benchmarks/bagel_gpu.py --predict                        # their predictions, without a GPU
    python benchmarks/bagel_gpu.py --tiny --device cpu --out tiny.json

The model has its real shapes and random weights, made on the device, so nothing is downloaded. PyTorch,
transformers, peft, accelerate and Pillow are enough; unichar needs no installation. The file is written after
every section, so a run that is cut short leaves what it has. Sections for which there is no time left are
skipped; `--only velocity,sft` runs those named (and `build`). docs/gpu.md says what each number is.

Not part of `make bench`: that compares two ways on the machine it runs on, this needs a GPU.
"""

import sys
from pathlib import Path

# Without an installation: this folder is on the path already, the repository is not.
sys.path.insert(0, str(Path(__file__).parents[1]))

if __name__ == "__main__":
    from gpu.main import main

    sys.exit(main(__doc__))
