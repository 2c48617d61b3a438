"""Stage 2, `curate`: a kit that passed validation becomes what the other stages read.

    python -m unichar curate --character mochi

Writes `kit.json` (`unichar.types.CuratedKit`), `images/NN.png` (square, RGB, `KitConfig.size`),
`contact_sheet.png` for people, and `curation.json`, which lists what was left out and what was composed.
The same kit, settings and seed give the same bytes.

Departs from the paper, which publishes its split and keeps copies: here the author names the held-out
pictures or the seed draws them, and a copy of another picture is left out, because a copy on the other side
of the split is no test.
"""

import logging
from typing import Any, cast

from PIL import Image

from unichar.domains.base import Domain
from unichar.domains.lookup import inferred_domain
from unichar.kit.config import KitConfig
from unichar.kit.contact_sheet import contact_sheet
from unichar.kit.content import kit_hash
from unichar.kit.images import load_picture
from unichar.kit.schema import Kit, SceneRow, load_kit
from unichar.kit.split import PictureSplit, scan_pictures, split_pictures
from unichar.kit.verdict import gate, read_verdict
from unichar.kit.wording import complete
from unichar.store.files import json_bytes, write_atomic
from unichar.types import CuratedKit, Exchange, Fact, Persona, Picture, StageJob

_LOG = logging.getLogger(__name__)


def run(job: StageJob) -> dict[str, Any]:
    """Write the curated kit into `job.out`.

    Raises:
        KitRejected: The kit has no verdict, a bad one, or changed since.
    """
    # The gate again: the kit may have changed since it was validated.
    folder = job.inputs["raw_kit"]
    verdict = read_verdict(job.inputs["validated_kit"] / "validation.json")
    gate(verdict, kit_hash(folder), folder)
    kit = load_kit(folder)

    # Choose pictures and complete their texts.
    split = split_pictures(kit, scan_pictures(kit, job.config), job.config, seed=job.seed)
    domain = inferred_domain(row.attributes for row in split.rows)
    rows = [complete(row, domain, name=kit.sheet.name, seed=job.seed) for row in split.rows]
    curated = _curated(kit, split, rows, domain)

    # Write.
    images = [_prepared(kit, row, job.config) for row in rows]
    (job.out / "images").mkdir()
    for picture, image in zip(curated.pictures, images, strict=True):
        image.save(job.out / picture.image)

    # For people: one page that shows which pictures are held out.
    is_held_out = [picture.split == "test" for picture in curated.pictures]
    contact_sheet(images, is_held_out).save(job.out / "contact_sheet.png")
    write_atomic(job.out / "kit.json", curated.to_json().encode())
    write_atomic(job.out / "curation.json", json_bytes(_account(split, rows)))

    # Logged, because the author expects every picture to be used.
    for copy, kept in sorted(split.copies.items()):
        _LOG.info("left out images/%s: it shows the same as images/%s", copy, kept)

    return {
        "num_pictures": len(curated.pictures),
        "num_train": len(curated.split("train")),
        "num_held_out": len(curated.split("test")),
        "num_duplicates": len(split.copies),
        "num_facts": len(curated.facts),
        "num_dialogues": len(curated.dialogues),
    }


def _curated(kit: Kit, split: PictureSplit, rows: list[SceneRow], domain: Domain) -> CuratedKit:
    sheet = kit.sheet

    # Tuples, because the curated kit is frozen.
    persona: dict[str, Any] = {}
    for name, value in sheet.persona:
        persona[name] = tuple(value) if isinstance(value, list) else value

    return CuratedKit(
        id=sheet.id,
        name=sheet.name,
        # A text here, one of the allowed values there: the gate has checked it.
        category=cast(Any, sheet.category),
        description=sheet.description,
        opening=sheet.opening,
        persona=Persona(**persona),
        facts=tuple(Fact(**fact.model_dump()) for fact in sheet.facts),
        pictures=tuple(_picture(row, number, split, domain) for number, row in enumerate(rows)),
        dialogues=tuple(Exchange(user=row.user, reply=row.reply) for row in kit.dialogues.values()),
        domain=domain.name,
    )


def _picture(row: SceneRow, number: int, split: PictureSplit, domain: Domain) -> Picture:
    return Picture(
        # Numbered anew: the authors' file names may be anything.
        image=f"images/{number:02d}.png",
        split="test" if row.picture in split.held_out else "train",
        user=row.user,
        reply=row.reply,
        caption=row.caption,
        thinking=row.thinking,
        instruction=row.instruction,
        attributes=domain.visible_attributes(row.attributes),
    )


def _prepared(kit: Kit, row: SceneRow, config: KitConfig) -> Image.Image:
    """The picture of a scene line as training sees it."""
    path = kit.images[row.picture]
    return load_picture(path, config.size, max_pixels=config.max_pixels, max_ratio=config.max_ratio)


def _account(split: PictureSplit, rows: list[SceneRow]) -> dict[str, Any]:
    """The content of curation.json: curated name -> original, copies, and which texts were composed for
    which pictures."""
    # A text that differs from the author's was composed by `complete`.
    composed: dict[str, list[str]] = {"caption": [], "thinking": [], "instruction": []}
    for old, new in zip(split.rows, rows, strict=True):
        for name, pictures_of_it in composed.items():
            if getattr(old, name) != getattr(new, name):
                pictures_of_it.append(new.picture)

    # Traces every prepared picture back to the author's file.
    pictures = {f"images/{number:02d}.png": row.picture for number, row in enumerate(rows)}
    return {
        "pictures": pictures,
        "copies": split.copies,
        "held_out": sorted(split.held_out),
        "composed": composed,
    }
