"""The cast that a character's style is told apart from: the replies of all kits beside its own. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from unichar.judges.style import Style
from unichar.kit.schema import read_kit
from unichar.types import CuratedKit


def style_classifier(kit: CuratedKit, cast: Mapping[str, Sequence[str]]) -> Style | None:
    """A classifier over the cast; `None` where the character has nobody to be told apart from.

    The character's own class is trained on its curated training replies, never on held-out ones.

    Args:
        kit: The character's.
        cast: Id -> replies; an entry of the character itself is replaced.
    """
    # The cast was read from raw kits; which pictures are held out is certain only after curation.
    own = [picture.reply for picture in kit.split("train")]
    own += [exchange.reply for exchange in kit.dialogues]

    classes = {**cast, kit.id: own}
    # One class has nothing to be told apart from.
    return Style(classes) if len(classes) > 1 else None


def cast_replies(characters: Path) -> dict[str, list[str]]:
    """Id -> replies of scenes and dialogues of every kit in a folder; scenes marked as held out are left out.

    Lines that cannot be read are left out too: an unfinished kit beside this one must not stop its report.
    """
    if not characters.is_dir():
        return {}

    cast = {}
    for folder in sorted(path for path in characters.iterdir() if path.is_dir()):
        # A hidden folder is a kit that is being copied.
        if folder.name.startswith("."):
            continue

        kit, _ = read_kit(folder)
        replies = [scene.reply for scene in kit.scenes.values() if not scene.held_out]
        replies += [dialogue.reply for dialogue in kit.dialogues.values()]
        replies = [reply for reply in replies if reply]
        if replies:
            cast[folder.name] = replies
    return cast
