"""The parts of `benchmarks/bagel_gpu.py`."""
