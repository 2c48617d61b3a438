import re
from pathlib import Path

import yaml

from unichar.kit.checks import CHECKS, SUITE_VERSION
from unichar.kit.schema import KitSheet

DOCS = (Path(__file__).parents[2] / "docs" / "kit.md").read_text(encoding="utf-8")


def test_the_handbook_lists_the_checks_as_they_are() -> None:
    listed = re.findall(r"^\| `(\w+)` \| (yes|no) \|", DOCS, re.MULTILINE)
    assert listed == [(check.name, "yes" if check.severity == "critical" else "no") for check in CHECKS]


def test_the_handbooks_example_can_be_read() -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    assert example
    sheet = KitSheet.model_validate(yaml.safe_load(example.group(1)))
    assert sheet.facts[0].paraphrase and sheet.rights.basis == "original"


def test_every_check_tells_how_to_fix_it() -> None:
    assert 8 <= len(CHECKS) <= 15
    for check in CHECKS:
        assert check.description.endswith(".") and check.hint.endswith(".")


def test_the_suite_version_belongs_to_these_checks() -> None:
    """When the list changes, the version must rise: evidence of the old list would count as evidence of
    the new one."""
    versions = {
        "1": "kit_readable key_valid rights_stated texts_filled texts_fit_prompts picture_count "
        "pictures_usable pictures_suit_model? pictures_distinct? scenes_complete attributes_known "
        "look_constant? facts_complete facts_in_profile? held_out_unseen"
    }
    marked = [check.name + ("?" if check.severity == "warning" else "") for check in CHECKS]
    assert versions[SUITE_VERSION] == " ".join(marked)
