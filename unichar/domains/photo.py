"""The domain of photographs: pictures without attributes, judged by features. Nothing can be rendered."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from PIL import Image

from unichar.domains.base import NUM_OPTIONS, WHO_QUESTIONS, EncoderName, ModelFamily, PictureQuestion
from unichar.domains.scenes import everyday
from unichar.errors import UserError
from unichar.types import CuratedKit, Interaction, Picture, Prompt

# Questions about a photograph, answered by its caption.
_CONTENT_QUESTIONS = (
    "What is happening here?",
    "Describe the picture.",
    "What does the picture show?",
    "What can you see here?",
)
_MATCH_QUESTION = "Does this describe the picture? {}"
_NAMED_FRAMES = ("A picture of {}", "Draw {}", "Show {}", "A portrait of {}")
"""For captions that begin with the character's name."""
_FRAMES = ("A picture of this moment: {}", "Draw this: {}", "Show this scene: {}", "A portrait like this: {}")
_MAX_TEST_SCENES = 64
"""Everyday scenes that a test may use, half of the 128; the rest is left for training and validation."""
_VALIDATION_EVERY = 5
"""One training picture in five gives its prompts to validation instead of training."""


class PhotoDomain:
    """See `unichar.domains.base.Domain`."""

    name = "photo"
    reads_attributes = False
    # Nano's vision tower was trained on toons alone; BAGEL's has seen photographs.
    reward_encoder: Mapping[ModelFamily, EncoderName] = {"nano": "photo_reward", "bagel": "vision_tower"}
    validation_encoder: EncoderName = "photo"
    report_encoder: EncoderName = "photo"
    # The base of nano has only ever seen drawings, so it cannot tell natural photographs.
    naturalness_denoiser: Literal["base", "reference"] = "reference"
    renders = False
    report_forms: tuple[str, ...] = ("scene", "scene_thinking", "open")
    """Few photographs are held out, so each is asked for in its conversational forms as well."""
    advice = ""

    def visible_attributes(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """None."""
        return {}

    def compose_caption(self, name: str, attributes: Mapping[str, str], rng: random.Random) -> str:
        """Empty: only words say what is in a photograph."""
        return ""

    def compose_thinking(self, name: str, attributes: Mapping[str, str], rng: random.Random) -> str:
        """Empty: only words say what is in a photograph."""
        return ""

    def captions(self, kit: CuratedKit, picture: Picture, *, count: int, rng: random.Random) -> list[str]:
        """The words of the caption in up to four other frames."""
        # "A picture of Bo running" reads well, "A picture of at the beach" does not.
        # A caption that names the character reads well after "A picture of"; any other stands as a whole.
        is_named = picture.caption.startswith(kit.name)
        frames = _NAMED_FRAMES if is_named else _FRAMES

        # The kit's own caption first; a dictionary drops repetitions and keeps the order.
        found = dict.fromkeys([picture.caption, *(frame.format(picture.caption) for frame in frames)])
        return list(found)[:count]

    def questions(
        self, kit: CuratedKit, picture: Picture, *, wordings: int, rng: random.Random
    ) -> list[PictureQuestion]:
        """Who it is, and what its caption says; wrong options are captions of other training pictures."""
        # Wrong options come from training pictures alone: a held-out caption must not occur in training.
        others = list(dict.fromkeys(p.caption for p in kit.split("train") if p.caption != picture.caption))
        found = []
        for question in rng.sample(WHO_QUESTIONS, min(wordings, len(WHO_QUESTIONS))):
            found.append(PictureQuestion("name", question, kit.name, ()))

        # Multiple choice needs three wrong captions.
        # In a small kit there are too few captions for a multiple choice; the question is then open.
        options: tuple[str, ...] = ()
        if len(others) >= NUM_OPTIONS - 1:
            options = (picture.caption, *rng.sample(others, NUM_OPTIONS - 1))
        for question in rng.sample(_CONTENT_QUESTIONS, min(wordings, len(_CONTENT_QUESTIONS))):
            found.append(PictureQuestion("caption", question, picture.caption, options))

        # Yes and no equally often, so that neither is the better guess.
        found.append(PictureQuestion("match", _MATCH_QUESTION.format(picture.caption), "Yes", ()))
        if others:
            found.append(PictureQuestion("match", _MATCH_QUESTION.format(rng.choice(others)), "No", ()))
        return found

    def unseen_prompts(self, kit: CuratedKit, *, count: int, rng: random.Random) -> list[Prompt]:
        """None: only judges that read text could tell whether a picture shows such a scene."""
        return []

    def open_prompts(self, kit: CuratedKit, *, count: int, rng: random.Random) -> list[Prompt]:
        """The character in everyday scenes, at most 64."""
        scenes = everyday(kit.name, rng)[: min(count, _MAX_TEST_SCENES)]
        return [Prompt(text=scene, is_open=True) for scene in scenes]

    def instruction_scenes(self, kit: CuratedKit, rng: random.Random) -> Iterator[tuple[str, dict[str, str]]]:
        """None."""
        return iter(())

    def validation_prompts(
        self,
        kit: CuratedKit,
        known: Sequence[Prompt],
        test: Sequence[Interaction],
        *,
        count: int,
        rng: random.Random,
    ) -> list[Prompt]:
        """Everyday scenes that no test item asks for, and the training prompts of every fifth picture.

        GRPO does not train on those pictures; SFT has.
        """
        # By picture, so that no wording of a held-back picture is trained on.
        # Pictures in the order of their names; every fifth, from the first on, is held back from GRPO.
        held_back = sorted({prompt.reference for prompt in known})[::_VALIDATION_EVERY]
        of_held_back = [prompt for prompt in known if prompt.reference in held_back]

        # Half and half. A report draws everyday scenes too, but never these.
        asked = {item.prompt for item in test}
        return _alternate(
            of_held_back[: (count + 1) // 2], _everyday_prompts(kit.name, rng, count // 2, taken=asked)
        )

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
        """Everyday scenes that neither test nor validation asks for, and the other pictures' prompts in turn.

        Half of them have no picture in the kit: a full caption of a training picture leaves nothing to vary.
        """
        # Pictures whose prompts validate are not trained on.
        held_back = {prompt.reference for prompt in validation}
        free = [prompt for prompt in known if prompt.reference not in held_back]
        of_pictures = [free[i % len(free)] for i in range((count + 1) // 2)]

        # The other half: scenes that neither a test nor validation asks for.
        asked = {item.prompt for item in test} | {prompt.text for prompt in validation}
        return _alternate(of_pictures, _everyday_prompts(kit.name, rng, count // 2, taken=asked))

    def scene_key(self, attributes: Mapping[str, str]) -> frozenset[tuple[str, str]]:
        """Empty: unknown."""
        return frozenset()

    def identity_attributes(self, kit: CuratedKit) -> tuple[str, ...]:
        """None."""
        return ()

    def prior_images(
        self, *, count: int, size: int, rng: random.Random
    ) -> tuple[list[str], list[Image.Image]]:
        """Not supported: photographs cannot be rendered."""
        raise UserError(
            "photographs of other people cannot be rendered; "
            "expected SftConfig.prior 'base' or prior_pictures 0"
        )

    def oracle_images(
        self, kit: CuratedKit, folder: Path, prompt: Prompt, *, count: int, rng: random.Random
    ) -> list[Image.Image]:
        """The photograph of the scene, if there is one."""
        if not prompt.reference:
            return []

        # The real photograph is the only faultless picture; there is no second one of its scene.
        with Image.open(folder / prompt.reference) as image:
            return [image.convert("RGB")]


def _everyday_prompts(name: str, rng: random.Random, count: int, *, taken: set[str]) -> list[Prompt]:
    """`count` everyday scenes without a picture.

    Identity, naturalness and diversity can be judged for them. Whether the picture shows the scene can be
    judged only by networks that read text (`unichar/judges/clip.py`).
    """
    # Repeated in turn where more are asked for than there are.
    free = [scene for scene in everyday(name, rng) if scene not in taken]
    return [Prompt(text=free[i % len(free)], is_open=True) for i in range(count)]


def _alternate(first: list[Prompt], second: list[Prompt]) -> list[Prompt]:
    """The two lists interleaved, then the rest of the longer one."""
    pairs = [prompt for pair in zip(first, second, strict=False) for prompt in pair]
    shorter = min(len(first), len(second))
    return pairs + first[shorter:] + second[shorter:]
