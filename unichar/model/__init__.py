"""The unified models: nano and BAGEL behind one protocol, their adapters, and what depends on their sizes."""

import logging

# peft imports bitsandbytes wherever it is installed, which on CPUs with bf16 instructions warns that a
# package with a kernel is missing. That kernel is never used here (`bagel/quantization.py`).
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
