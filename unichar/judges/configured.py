"""The judges that a `JudgesConfig` names, loaded once for one character: what a stage asks beside the eye it has anyway."""

from pathlib import Path

from unichar.domains.lookup import domain_of
from unichar.judges.clip import Clip, ClipAlignment
from unichar.judges.config import JudgesConfig
from unichar.judges.dino import DinoEncoder
from unichar.judges.encoders import Encoder
from unichar.judges.endpoint import Endpoint
from unichar.judges.llm_judge import LlmJudge
from unichar.judges.questions import QuestionAlignment
from unichar.judges.target_text import TextJudge, unnamed
from unichar.kit.images import load_picture
from unichar.model.pixels import to_pixels
from unichar.types import CuratedKit

_SIDE = 512
"""Pixels on a side of references that CLIP sees, more than it needs."""


class ConfiguredJudges:
    """Pictures of toons are left to the toon world's judges, replies are not.

    Args:
        folder: Of the curated kit.
        questions: File that questions about prompts are kept in.

    Raises:
        NoJudge: A network can not be loaded.
    """

    def __init__(self, judges: JudgesConfig, kit: CuratedKit, folder: Path, *, questions: Path) -> None:
        by_features = not domain_of(kit).reads_attributes
        endpoint = Endpoint(judges.endpoint, judges.endpoint_model) if judges.endpoint else None
        self.eye: Encoder | None = DinoEncoder(judges.dino) if judges.dino and by_features else None
        """For identity, copying and diversity."""
        self._clip = _clip_alignment(judges.clip, kit, folder) if judges.clip and by_features else None
        self._questions = QuestionAlignment(endpoint, questions) if endpoint and by_features else None
        self.texts: tuple[TextJudge, ...] = tuple(
            judge for judge in (self._clip, self._questions) if judge is not None
        )
        """For alignment."""
        self.llm_judge = LlmJudge(endpoint, kit) if endpoint else None
        """For replies."""

    def notes(self) -> list[str]:
        """Plain sentences on who judged, after judging."""
        found = ["Identity, copying and diversity are judged by DINOv2."] if self.eye else []
        found += ["Alignment is judged by CLIP."] if self._clip else []
        return found + [judge.note() for judge in (self._questions, self.llm_judge) if judge is not None]


def _clip_alignment(name: str, kit: CuratedKit, folder: Path) -> ClipAlignment:
    """On the scale of the kit's training pictures."""
    known = kit.split("train")
    references = to_pixels([load_picture(folder / picture.image, _SIDE) for picture in known])
    return ClipAlignment(Clip(name), references, [unnamed(picture.caption, kit) for picture in known])
