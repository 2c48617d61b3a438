"""Which pictures of a kit are used, and which of them are held out: one answer for the checks and for curation."""

import hashlib
import random
from collections import Counter
from dataclasses import dataclass

from unichar.kit.config import KitConfig
from unichar.kit.images import SUFFIXES, Look, UnusablePicture, opened, prepare
from unichar.kit.schema import Kit, SceneRow
from unichar.kit.wording import bare


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One file of images/, looked at."""

    name: str
    width: int = 0
    """Pixels as stored, before any rotation."""
    height: int = 0
    digest: str = ""
    """sha256 of the bytes."""
    look: Look | None = None
    """None where there is a problem."""
    problem: str = ""
    """Why it cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What curation does with the pictures of a kit."""

    rows: tuple[SceneRow, ...]
    """Lines whose pictures are used, in the author's order."""
    copies: dict[str, str]
    """Picture left out -> the picture it repeats. Of a training and a held-out picture the held-out one is left out."""
    held_out: frozenset[str]
    """Pictures kept for testing."""


def scan_pictures(kit: Kit, config: KitConfig) -> tuple[Scan, ...]:
    """Every file of images/, unpacked once."""
    return tuple(_scan(kit, name, config) for name in kit.images)


def _scan(kit: Kit, name: str, config: KitConfig) -> Scan:
    path = kit.images[name]
    if not name.lower().endswith(SUFFIXES) or not path.is_file():
        return Scan(name=name, problem=f"is not a file of the kinds {', '.join(SUFFIXES)}")
    try:
        with opened(path, max_pixels=config.max_pixels) as image:
            look = Look(prepare(image, 128, max_ratio=config.max_ratio))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return Scan(name=name, width=image.width, height=image.height, digest=digest, look=look)
    except UnusablePicture as error:
        return Scan(name=name, problem=str(error))


def plan_pictures(kit: Kit, scans: tuple[Scan, ...], config: KitConfig, *, seed: int = 0) -> Plan:
    """Copies are left out; then the held-out pictures are those the author named, or else chosen by `seed`.

    How many pictures are in each split does not depend on the seed.
    """
    usable = {scan.name: scan for scan in scans if scan.look}
    lines: dict[str, SceneRow] = {}
    for row in kit.scenes.values():
        if row.picture in usable:
            lines.setdefault(row.picture, row)
    copies = find_copies([usable[name] for name in sorted(lines, key=lambda name: lines[name].held_out)])
    rows = tuple(row for name, row in lines.items() if name not in copies)
    if any(row.held_out for row in lines.values()):
        held_out = frozenset(row.picture for row in rows if row.held_out)
    else:
        held_out = _choose(kit, rows, config, seed)
    return Plan(rows=rows, copies=copies, held_out=held_out)


def find_copies(scans: list[Scan]) -> dict[str, str]:
    """Picture -> the one earlier in the list that it repeats."""
    kept: list[Scan] = []
    copies: dict[str, str] = {}
    for scan in scans:
        same = next((other for other in kept if _is_copy(scan, other)), None)
        if same:
            copies[scan.name] = same.name
        else:
            kept.append(scan)
    return copies


def _is_copy(scan: Scan, other: Scan) -> bool:
    if scan.look is None or other.look is None:
        return False
    return scan.digest == other.digest or scan.look.is_same_picture(other.look)


def _choose(kit: Kit, rows: tuple[SceneRow, ...], config: KitConfig, seed: int) -> frozenset[str]:
    """Pictures for testing, among those whose user text is said nowhere else: a test the model has trained on is none."""
    said = Counter(bare(row.user) for row in rows) + Counter(bare(row.user) for row in kit.dialogues.values())
    unheard = [row.picture for row in rows if said[bare(row.user)] == 1]
    wanted = max(1, round(config.held_out_share * len(rows)))
    candidates = unheard or [row.picture for row in rows]
    return frozenset(random.Random(seed).sample(candidates, min(wanted, len(candidates))))
