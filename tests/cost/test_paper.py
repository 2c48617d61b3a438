"""FLOPs of the paper's settings."""

from unichar.cost.paper import paper_flops
from unichar.cost.sizes import bagel_sizes
from unichar.cost.workload import ROLESCAPE


def test_grpo_dominates_the_papers_cost():
    sft, grpo = paper_flops(bagel_sizes(1024), ROLESCAPE)
    assert 50 < grpo / sft < 300


def test_larger_pictures_cost_more():
    sizes = bagel_sizes(1024)
    half, full = paper_flops(bagel_sizes(512), ROLESCAPE), paper_flops(sizes, ROLESCAPE)
    assert all(small < large for small, large in zip(half, full, strict=True))
