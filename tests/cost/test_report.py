"""FLOPs of reports."""

from dataclasses import replace

import pytest

from unichar.cost.report import report_flops
from unichar.cost.sizes import bagel_sizes, nano_sizes
from unichar.cost.workload import TOON
from unichar.evaluation.config import ARMS, EvaluationConfig
from unichar.model.nano.config import NanoConfig

SIZES, CONFIG = nano_sizes(NanoConfig()), EvaluationConfig()


def share(sizes, pictures: int, turns: int, texts: int) -> float:
    """FLOPs of so many arms' pictures, multimodal turns and texts, from differences between reports."""
    base, sft = ("", ()), ("sft_checkpoint", ("und", "gen"))

    def flops(config=CONFIG, **arms):
        return report_flops(sizes, TOON, config, arms=arms)

    # A second arm of the base adds its turns alone; another picture component adds pictures, and so on.
    turn = flops(a=base, b=base) - flops(a=base)
    picture = flops(a=sft, b=("grpo_checkpoint", ("und", "gen"))) - flops(a=sft) - turn
    text = flops(a=base) - turn - picture
    return pictures * picture + turns * turn + texts * text


def test_what_arms_share_is_counted_once():
    """Of five arms three draw differently with nano, all with BAGEL, where pictures follow text adapters."""
    counted = report_flops(SIZES, TOON, CONFIG, arms=ARMS)
    assert counted == pytest.approx(share(SIZES, pictures=3, turns=5, texts=2))
    sizes = bagel_sizes(512)
    counted = report_flops(sizes, TOON, CONFIG, arms=ARMS)
    assert counted == pytest.approx(share(sizes, pictures=5, turns=5, texts=2))


def test_reinforced_replies_are_measured_too():
    counted = report_flops(SIZES, TOON, CONFIG, arms=ARMS, text_rl=True)
    assert counted == pytest.approx(share(SIZES, pictures=3, turns=5, texts=3))


@pytest.mark.parametrize("field", ["pictures", "text_items", "max_reply_tokens", "max_reasoning_tokens"])
def test_more_of_anything_costs_more(field):
    more = replace(CONFIG, **{field: 2 * getattr(CONFIG, field)})
    assert report_flops(SIZES, TOON, more, arms=ARMS) > report_flops(SIZES, TOON, CONFIG, arms=ARMS)
