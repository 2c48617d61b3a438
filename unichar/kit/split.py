"""Which pictures of a kit are used and which of them are held out: one answer for the checks and for
curation."""

import hashlib
import random
from collections import Counter
from dataclasses import dataclass

from unichar.kit.config import KitConfig
from unichar.kit.images import SUFFIXES, PictureSignature, UnusablePicture, opened, prepare
from unichar.kit.schema import Kit, SceneRow
from unichar.kit.wording import bare

_SIGNATURE_SIDE = 128
"""Pixels of the prepared picture that a signature is computed from, whatever the preset's size."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was found in one file of images/."""

    name: str
    width: int = 0
    """Pixels as stored, before any rotation."""
    height: int = 0
    digest: str = ""
    """sha256 of the bytes."""
    signature: PictureSignature | None = None
    """None where there is a problem."""
    problem: str = ""
    """Why the file cannot be used; empty if it can."""


@dataclass(frozen=True, kw_only=True)
class PictureSplit:
    """What curation does with the pictures of a kit."""

    rows: tuple[SceneRow, ...]
    """Lines whose pictures are used, in the author's order."""
    copies: dict[str, str]
    """Picture left out -> the picture that it repeats."""
    held_out: frozenset[str]
    """Pictures kept for testing."""


def scan_pictures(kit: Kit, config: KitConfig) -> tuple[Scan, ...]:
    """Every file of images/, each unpacked once."""
    return tuple(_scan(kit, name, config) for name in kit.images)


def _scan(kit: Kit, name: str, config: KitConfig) -> Scan:
    # By suffix first, so that other files are named as such and not as damaged pictures.
    path = kit.images[name]
    if not name.lower().endswith(SUFFIXES) or not path.is_file():
        return Scan(name=name, problem=f"is not a file of the kinds {', '.join(SUFFIXES)}")

    try:
        with opened(path, max_pixels=config.max_pixels) as image:
            # Computing the signature unpacks the picture, which also finds damage inside it.
            signature = PictureSignature(prepare(image, _SIGNATURE_SIDE, max_ratio=config.max_ratio))
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return Scan(name=name, width=image.width, height=image.height, digest=digest, signature=signature)
    except UnusablePicture as error:
        return Scan(name=name, problem=str(error))


def split_pictures(kit: Kit, scans: tuple[Scan, ...], config: KitConfig, *, seed: int = 0) -> PictureSplit:
    """Leave copies out, then hold out the pictures that the author named, or else some drawn with `seed`.

    How many pictures are in each split does not depend on the seed.
    """
    # Files that opened without a problem.
    usable = {scan.name: scan for scan in scans if scan.signature}

    # The first line of each picture; a second one is reported by a check.
    lines: dict[str, SceneRow] = {}
    for row in kit.scenes.values():
        if row.picture in usable:
            lines.setdefault(row.picture, row)

    # Training pictures come first, so that of a training and a held-out picture the held-out one is the copy.
    names = sorted(lines, key=lambda name: lines[name].held_out)
    copies = find_copies([usable[name] for name in names])
    rows = tuple(row for name, row in lines.items() if name not in copies)

    # One `held_out` line means that the author decides; only then nothing is drawn.
    if any(row.held_out for row in lines.values()):
        held_out = frozenset(row.picture for row in rows if row.held_out)
    else:
        held_out = _draw_held_out(kit, rows, config, seed)
    return PictureSplit(rows=rows, copies=copies, held_out=held_out)


def find_copies(scans: list[Scan]) -> dict[str, str]:
    """Picture -> the one earlier in the list that it repeats."""
    kept: list[Scan] = []
    copies: dict[str, str] = {}
    for scan in scans:
        # Compared with kept pictures only, so that a series of copies has one original.
        same = next((other for other in kept if _is_copy(scan, other)), None)
        if same:
            copies[scan.name] = same.name
        else:
            kept.append(scan)

    return copies


def _is_copy(scan: Scan, other: Scan) -> bool:
    if scan.signature is None or other.signature is None:
        return False
    return scan.digest == other.digest or scan.signature.is_same_picture(other.signature)


def _draw_held_out(kit: Kit, rows: tuple[SceneRow, ...], config: KitConfig, seed: int) -> frozenset[str]:
    """Pictures for testing, if possible those whose user text occurs nowhere else in the kit.

    A user text that training contains too would test memory only.
    """
    # How often each user text occurs in the whole kit.
    said = Counter(bare(row.user) for row in rows) + Counter(bare(row.user) for row in kit.dialogues.values())
    unique = [row.picture for row in rows if said[bare(row.user)] == 1]
    candidates = unique or [row.picture for row in rows]

    # At least one, because a kit without a held-out picture cannot be tested.
    count = max(1, round(config.held_out_fraction * len(rows)))
    return frozenset(random.Random(seed).sample(candidates, min(count, len(candidates))))
