"""The judges that a `JudgesConfig` names, loaded once for one character: what a stage uses besides the packed
encoders."""

from pathlib import Path

from unichar.domains.lookup import domain_of
from unichar.judges.alignment import TextJudge, unnamed
from unichar.judges.clip import Clip, ClipAlignment
from unichar.judges.config import JudgesConfig
from unichar.judges.dino import DinoEncoder
from unichar.judges.encoders import Encoder
from unichar.judges.endpoint import Endpoint
from unichar.judges.llm_judge import LlmJudge
from unichar.judges.questions import QuestionAlignment
from unichar.kit.images import load_picture
from unichar.model.pixels import to_pixels
from unichar.types import CuratedKit

_SIDE = 512
"""Side in pixels of the references that CLIP sees, more than any CLIP needs."""


class ConfiguredJudges:
    """Networks for pictures are loaded only for domains that do not read attributes; judges of replies for
    all.

    Args:
        judges: Their names.
        kit: Read from `folder`.
        folder: The curated kit's.
        questions: File that keeps the questions about prompts.

    Raises:
        MissingJudge: A network cannot be loaded.
    """

    def __init__(self, judges: JudgesConfig, kit: CuratedKit, folder: Path, *, questions: Path) -> None:
        # Attributes are read exactly by the packed encoders; a text judge would only add noise.
        judges_pictures = not domain_of(kit).reads_attributes
        endpoint = Endpoint(judges.endpoint, judges.endpoint_model) if judges.endpoint else None

        # A judge that is not configured stays None; the packed encoders take its place.
        self.encoder: Encoder | None = None
        """For identity, copying and diversity."""
        self._clip: ClipAlignment | None = None
        self._questions: QuestionAlignment | None = None
        if judges_pictures and judges.dino:
            self.encoder = DinoEncoder(judges.dino)
        if judges_pictures and judges.clip:
            self._clip = _clip_alignment(judges.clip, kit, folder)
        if judges_pictures and endpoint:
            self._questions = QuestionAlignment(endpoint, questions)

        # Both judges of alignment count alike where both are configured.
        both = (self._clip, self._questions)
        self.texts: tuple[TextJudge, ...] = tuple(judge for judge in both if judge is not None)
        """For alignment."""
        self.llm_judge = LlmJudge(endpoint, kit) if endpoint else None
        """For replies."""

    def notes(self) -> list[str]:
        """Sentences for the report on which networks judged, to be called after judging."""
        # The report shows these sentences, so that its numbers are not compared with those of other judges.
        notes = []
        if self.encoder:
            notes.append("Identity, copying and diversity are judged by DINOv2.")
        if self._clip:
            notes.append("Alignment is judged by CLIP.")
        return notes + [judge.note() for judge in (self._questions, self.llm_judge) if judge is not None]


def _clip_alignment(name: str, kit: CuratedKit, folder: Path) -> ClipAlignment:
    """CLIP, rescaled by the kit's training pictures."""
    # Training pictures only: a reward must not be scaled by held-out ones.
    known = kit.split("train")
    references = to_pixels([load_picture(folder / picture.image, _SIDE) for picture in known])

    # Captions without the character's name, as the prompts that CLIP will score.
    return ClipAlignment(Clip(name), references, [unnamed(picture.caption, kit) for picture in known])
