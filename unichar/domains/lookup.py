"""All domains, and which one a kit belongs to. Curation stores the answer as `domain` in `kit.json`."""

from collections.abc import Iterable, Mapping

from unichar.domains.base import Domain, ModelFamily
from unichar.domains.photo import PhotoDomain
from unichar.domains.toon.domain import ToonDomain
from unichar.errors import UserError
from unichar.types import CuratedKit

_DOMAINS: tuple[Domain, ...] = (ToonDomain(), PhotoDomain())
DOMAINS = {domain.name: domain for domain in _DOMAINS}
"""Name in `kit.json` -> domain; a new kind of pictures is added to `_DOMAINS`."""


def domain_of(kit: CuratedKit) -> Domain:
    """The domain that `kit.json` names; inferred from the attributes if it was written before the field.

    Raises:
        UserError: The name is not one of `DOMAINS`.
    """
    # Files from before the field existed.
    # Curated kits from before the field was there.
    if not kit.domain:
        return inferred_domain(picture.attributes for picture in kit.pictures)

    # Written by another version, or by hand.
    if kit.domain not in DOMAINS:
        raise UserError(
            f"kit.json of {kit.id} has the domain {kit.domain!r}; expected one of {', '.join(DOMAINS)}: "
            f"run `python -m unichar curate --character {kit.id} --force`"
        )
    return DOMAINS[kit.domain]


def inferred_domain(pictures: Iterable[Mapping[str, str]]) -> Domain:
    """The domain of pictures with these attributes: toons if each has a species, else photographs."""
    # Attributes are given for all pictures or for none; the checks of a kit refuse anything else.
    # Every toon has a species. One picture without attributes makes the kit one of photographs: attributes
    # must be known of all pictures to be judged by.
    species = ["species" in attributes for attributes in pictures]
    return DOMAINS["toon" if species and all(species) else "photo"]


def check_model(domain: Domain, model: ModelFamily, *, character: str) -> None:
    """Refuse a model that cannot be trained on a domain, by the table `Domain.reward_encoder`.

    Raises:
        UserError: GRPO would find no encoder that can judge the pictures.
    """
    if model in domain.reward_encoder:
        return

    # Said before the first stage, since `sft` would take hours before `grpo` fails.
    others = " or ".join(domain.reward_encoder)
    raise UserError(
        f"{character} cannot be trained with the model {model}: its pictures are of the domain "
        f"{domain.name!r}, and {model} has no encoder that can reward them, so `grpo` would fail; "
        f"use a preset of the model {others} (`--preset cpu`), or {domain.advice}"
    )
