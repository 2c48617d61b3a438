"""What depends on the kind of pictures a character has: its domain.

    domain_of(kit).captions(kit, picture, count=4, rng=rng)    # domain_of: unichar.domains.lookup

A domain says which prompts can be made for a character, which networks judge its pictures, and which of the
trainers' settings apply to it. Everything else is the same for all kinds of pictures, and no code outside
this package asks for the kind. No torch: networks are named here and built by `unichar.judges.encoders`.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from PIL import Image

from unichar.types import CuratedKit, Interaction, Picture, Prompt

ModelFamily = Literal["nano", "bagel"]
"""Packages of `unichar/model/`, as in `Preset.model`."""
EncoderName = Literal["vision_tower", "attribute_classifier", "photo", "photo_reward"]
"""Networks that see pictures: the model's own vision tower, or one of those packed with a nano base."""

WHO_QUESTIONS = (
    "Who is this?",
    "Which character do you see?",
    "What is the name of this character?",
    "Can you tell me who this is?",
)
"""Questions about a picture that every domain can answer: with the character's name."""
NUM_OPTIONS = 4
"""Options of a multiple-choice question, the right one included; chance is one in four."""


class PictureQuestion(NamedTuple):
    """A question about a picture with its answer."""

    form: str
    """What is asked for: an attribute, `name`, `caption` or `match`."""
    question: str
    answer: str
    options: tuple[str, ...]
    """The answer first, then wrong ones; empty where there are not enough wrong ones."""


class Domain(Protocol):
    """One kind of pictures.

    The order of draws from `rng` is part of the contract: training data depends on it.
    """

    # Capabilities are plain attributes, so that settings can be checked before anything is loaded.

    name: str
    """What `kit.json` stores."""

    # Who judges pictures. Validation and reports use another network than the reward: one that training can
    # fool must not measure the result (docs/decisions/0008-two-networks.md).

    reads_attributes: bool
    """Whether every picture is described by attributes of a closed vocabulary.

    If so, identity and alignment compare attributes. If not, identity compares features, and alignment is the
    rank of the right scene or the score of judges that read text.
    """
    reward_encoder: Mapping[ModelFamily, EncoderName]
    """The encoder of the reward for each model that can be trained on this domain.

    This is the one table of supported combinations of model and domain; see `lookup.check_model`.
    """
    validation_encoder: EncoderName
    """Chooses among GRPO's checkpoints."""
    report_encoder: EncoderName
    """Measures the pictures of reports; never the reward's network."""
    naturalness_denoiser: Literal["base", "reference"]
    """Whose generation expert knows natural pictures of this domain: the base's, or the SFT model's."""
    advice: str
    """What the owner of a kit can do when a model does not support the domain."""

    # Which settings apply. Trainers ask for this capability, not for the name of the domain.

    renders: bool
    """Whether any scene can be rendered: oracle pictures of every prompt, prior-preservation images."""

    # Curation: what can be said about a picture that comes without words.

    def visible_attributes(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """The attributes of a scene line that can be seen in its picture, in the order of the vocabulary."""
        ...

    def compose_caption(self, name: str, attributes: Mapping[str, str], rng: random.Random) -> str:
        """A caption for a scene line without one; empty where attributes do not say enough."""
        ...

    def compose_thinking(self, name: str, attributes: Mapping[str, str], rng: random.Random) -> str:
        """The reasoning text for a scene line without one; empty where attributes do not say enough."""
        ...

    # Interactions: training data of SFT and the test items of reports.

    def captions(self, kit: CuratedKit, picture: Picture, *, count: int, rng: random.Random) -> list[str]:
        """Up to `count` different captions of a picture, the kit's own first."""
        ...

    def questions(
        self, kit: CuratedKit, picture: Picture, *, wordings: int, rng: random.Random
    ) -> list[PictureQuestion]:
        """Questions about a picture, each in up to `wordings` wordings."""
        ...

    def unseen_prompts(self, kit: CuratedKit, *, count: int, rng: random.Random) -> list[Prompt]:
        """`count` test prompts for whole scenes that no picture of the kit shows.

        None where it cannot be judged whether a picture shows them.
        """
        ...

    def open_prompts(self, kit: CuratedKit, *, count: int, rng: random.Random) -> list[Prompt]:
        """Up to `count` different test prompts that leave part of the scene to the model."""
        ...

    def instruction_scenes(self, kit: CuratedKit, rng: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
        """(phrases, attributes) of new scenes for instruction samples, each drawn when it is asked for.

        None where it cannot be judged whether a picture shows them.
        """
        ...

    # Prompts of GRPO. Training, validation and test prompts ask for different scenes.

    def validation_prompts(
        self,
        kit: CuratedKit,
        known: Sequence[Prompt],
        test: Sequence[Interaction],
        *,
        count: int,
        rng: random.Random,
    ) -> list[Prompt]:
        """Up to `count` prompts to choose checkpoints by, none of which asks for what `test` asks for.

        `known` are the plain prompts of the training pictures.
        """
        ...

    def training_prompts(
        self,
        kit: CuratedKit,
        known: Sequence[Prompt],
        test: Sequence[Interaction],
        *,
        validation: Sequence[Prompt],
        count: int,
        rng: random.Random,
    ) -> list[Prompt]:
        """`count` prompts to learn from, none of which asks for what `test` or `validation` asks for."""
        ...

    def scene_key(self, attributes: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        """The attributes of the scene without those of the character; empty where the scene is unknown.

        Two prompts with equal keys that are not empty ask for the same scene.
        """
        ...

    # Judges, trainers and reports: what to compare, and pictures that need no model.

    def identity_attributes(self, kit: CuratedKit) -> tuple[str, ...]:
        """The attributes by which the character is recognised; empty if `reads_attributes` is false."""
        ...

    report_forms: tuple[str, ...]
    """Forms of text-to-image samples that a report draws besides `plain`."""

    def prior_images(
        self, *, count: int, size: int, rng: random.Random
    ) -> tuple[list[str], list[Image.Image]]:
        """Prompts and pictures (RGB, `size` x `size`) of random other characters for prior preservation.

        Raises:
            UserError: The domain does not render.
        """
        ...

    def oracle_images(
        self, kit: CuratedKit, folder: Path, prompt: Prompt, *, count: int, rng: random.Random
    ) -> list[Image.Image]:
        """At most `count` faultless RGB pictures of a prompt; none where there is none.

        Renders, or the photograph of the scene in `folder`, the curated kit's.
        """
        ...
