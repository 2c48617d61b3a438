"""Stage 2, `curate`: a kit that passed validation becomes what the other stages read.

    python -m unichar curate --character mochi

Writes `kit.json` (`unichar.types.CuratedKit`), `images/NN.png` (square, RGB, `KitConfig.size`), `contact_sheet.png` to look at
and `curation.json`, which says what was left out and what was composed. The same kit, settings and seed give the same bytes.

Departs from the paper, which publishes its split and leaves copies in: here pictures are held out by the author's word or by the
seed, and a copy of another picture is left out, because a copy on the other side of the split is no test.
"""

from typing import Any, cast

from PIL import Image

from unichar.domains.base import Domain
from unichar.domains.lookup import inferred_domain
from unichar.kit.config import KitConfig
from unichar.kit.contact_sheet import contact_sheet
from unichar.kit.content import kit_hash
from unichar.kit.images import load_picture
from unichar.kit.schema import Kit, SceneRow, load_kit
from unichar.kit.split import Plan, plan_pictures, scan_pictures
from unichar.kit.verdict import gate, read_verdict
from unichar.kit.wording import complete
from unichar.store.files import json_bytes, write_atomic
from unichar.types import CuratedKit, Exchange, Fact, Persona, Picture, StageJob


def run(job: StageJob) -> dict[str, Any]:
    """Write the curated kit into `job.out`.

    Raises:
        KitRejected: The kit has no verdict, a bad one, or changed since.
    """
    folder = job.inputs["raw_kit"]
    gate(read_verdict(job.inputs["validated_kit"] / "validation.json"), kit_hash(folder), folder)
    kit = load_kit(folder)
    plan = plan_pictures(kit, scan_pictures(kit, job.config), job.config, seed=job.seed)
    domain = inferred_domain(row.attributes for row in plan.rows)
    rows = [complete(row, domain, name=kit.sheet.name, seed=job.seed) for row in plan.rows]
    curated = _curated(kit, plan, rows, domain)
    images = [_prepared(kit, row, job.config) for row in rows]
    (job.out / "images").mkdir()
    for picture, image in zip(curated.pictures, images, strict=True):
        image.save(job.out / picture.image)
    contact_sheet(images, [picture.split == "test" for picture in curated.pictures]).save(
        job.out / "contact_sheet.png"
    )
    write_atomic(job.out / "kit.json", curated.to_json().encode())
    write_atomic(job.out / "curation.json", json_bytes(_account(plan, rows)))
    for copy, kept in sorted(plan.copies.items()):
        print(f"left out images/{copy}: it shows the same as images/{kept}")
    return {
        "num_pictures": len(curated.pictures),
        "num_train": len(curated.split("train")),
        "num_held_out": len(curated.split("test")),
        "num_duplicates": len(plan.copies),
        "num_facts": len(curated.facts),
        "num_dialogues": len(curated.dialogues),
    }


def _curated(kit: Kit, plan: Plan, rows: list[SceneRow], domain: Domain) -> CuratedKit:
    sheet = kit.sheet
    persona: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in sheet.persona
    }
    return CuratedKit(
        id=sheet.id,
        name=sheet.name,
        category=cast(Any, sheet.category),  # the gate has checked it
        description=sheet.description,
        opening=sheet.opening,
        persona=Persona(**persona),
        facts=tuple(Fact(**fact.model_dump()) for fact in sheet.facts),
        pictures=tuple(_picture(row, number, plan, domain) for number, row in enumerate(rows)),
        dialogues=tuple(Exchange(user=row.user, reply=row.reply) for row in kit.dialogues.values()),
        domain=domain.name,
    )


def _picture(row: SceneRow, number: int, plan: Plan, domain: Domain) -> Picture:
    return Picture(
        image=f"images/{number:02d}.png",
        split="test" if row.picture in plan.held_out else "train",
        user=row.user,
        reply=row.reply,
        caption=row.caption,
        thinking=row.thinking,
        instruction=row.instruction,
        attributes=domain.visible_attributes(row.attributes),
    )


def _prepared(kit: Kit, row: SceneRow, config: KitConfig) -> Image.Image:
    path = kit.images[row.picture]
    return load_picture(path, config.size, max_pixels=config.max_pixels, max_ratio=config.max_ratio)


def _account(plan: Plan, rows: list[SceneRow]) -> dict[str, Any]:
    """What became of the kit's pictures: curated name -> original, copies, and which words were composed for whom."""
    composed = {
        name: [
            new.picture
            for old, new in zip(plan.rows, rows, strict=True)
            if getattr(old, name) != getattr(new, name)
        ]
        for name in ("caption", "thinking", "instruction")
    }
    pictures = {f"images/{number:02d}.png": row.picture for number, row in enumerate(rows)}
    return {
        "pictures": pictures,
        "copies": plan.copies,
        "held_out": sorted(plan.held_out),
        "composed": composed,
    }
