"""The domain of a kit: stored at curation, inferred for older files, deciding which models can train it."""

import dataclasses
import json
from pathlib import Path

import pytest
from factories_interactions import make_curated_kit, nia_the_photographer

from unichar.domains.lookup import DOMAINS, check_model, domain_of, inferred_domain
from unichar.errors import UserError
from unichar.types import CuratedKit


@pytest.mark.parametrize(("overrides", "name"), [({}, "toon"), (nia_the_photographer(), "photo")])
def test_a_kit_json_from_before_the_field_is_read_by_its_attributes(
    tmp_path: Path, overrides: dict, name: str
) -> None:
    make_curated_kit(tmp_path, **overrides)
    raw = json.loads((tmp_path / "kit.json").read_text())
    raw.pop("domain")
    (tmp_path / "kit.json").write_text(json.dumps(raw))
    kit = CuratedKit.read(tmp_path)
    assert kit.domain == "" and domain_of(kit).name == name


def test_what_is_stored_counts(tmp_path: Path) -> None:
    kit = make_curated_kit(tmp_path, domain="photo")
    assert CuratedKit.read(tmp_path) == kit
    assert domain_of(kit) is DOMAINS["photo"]


def test_an_unknown_domain_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    kit = dataclasses.replace(make_curated_kit(tmp_path), domain="clay")
    with pytest.raises(UserError, match=r"'clay'; expected one of toon, photo: run `.* curate --character"):
        domain_of(kit)


def test_one_picture_without_attributes_makes_photographs() -> None:
    assert inferred_domain([{"species": "cat"}, {"species": "cat"}]) is DOMAINS["toon"]
    assert inferred_domain([{"species": "cat"}, {}]) is DOMAINS["photo"]
    assert inferred_domain([]) is DOMAINS["photo"]


@pytest.mark.parametrize(
    ("domain", "model", "supported"),
    [("toon", "nano", True), ("toon", "bagel", False), ("photo", "nano", True), ("photo", "bagel", True)],
)
def test_which_model_can_train_which_domain(domain: str, model: str, supported: bool) -> None:
    if supported:
        check_model(DOMAINS[domain], model, character="pip")
    else:
        with pytest.raises(UserError, match="pip cannot be trained with the model bagel"):
            check_model(DOMAINS[domain], model, character="pip")


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=lambda domain: domain.name)
def test_reports_never_use_an_encoder_of_the_reward(domain) -> None:
    assert domain.report_encoder not in domain.reward_encoder.values()
    assert domain.validation_encoder not in domain.reward_encoder.values()
