"""The table of stages. Whether it fits modules, presets and Dagster is tested in `test_boundaries.py`."""

import pytest

from unichar.errors import UserError
from unichar.stages import STAGES, VERBS, stage_of


def test_a_stage_is_found_by_verb_and_by_noun() -> None:
    for stage in STAGES[1:]:
        assert stage_of(stage.verb) is stage_of(stage.noun) is stage
    assert stage_of("raw_kit").number == 0
    assert stage_of("sft").folder == "4_sft_checkpoint"


@pytest.mark.parametrize("name", ["train", ""])
def test_a_wrong_name_is_answered_with_the_verbs(name: str) -> None:
    with pytest.raises(UserError, match=f"the stages are {', '.join(VERBS)}"):
        stage_of(name)


def test_a_stage_reads_only_outputs_of_stages_before_it() -> None:
    nouns = [stage.noun for stage in STAGES]
    for stage in STAGES:
        assert set(stage.needs) <= set(nouns[: stage.number])
